"""The texts of errors, which are bounded whatever they are made of."""

import pytest

from groundplane.errors import MAX_FAULTS, CatalogError, Fault, Origin, bounded


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\nb\nc", "a\nb\nc"),
        (f"aaaaa\n{'b' * 50}\nc", "aaaaa\n... and 2 more lines"),
        (f"aaaaa\n{'b' * 50}", "aaaaa\n... and 1 more line"),
        ("a" * 100, "aaaaaaaa ..."),
        ("a" * 48, "a" * 48),
        ("", ""),
    ],
)
def test_a_text_is_cut_at_a_line_and_says_how_many_follow(text: str, kept: str) -> None:
    assert kept == bounded(text, 48)
    assert kept == bounded(kept, 48)


def test_whatever_raises_it_a_catalog_error_tells_the_first_faults_and_counts_the_others() -> None:
    faults = [Fault(Origin("addresses.lock", line), "", "", "wrong") for line in range(1, 10_001)]
    error = CatalogError(faults, more=7)
    lines = str(error).splitlines()
    assert "addresses.lock:1: wrong" == lines[0]
    assert ["and 9907 more"] == lines[MAX_FAULTS:]
    assert "10007 faults" == error.count
