"""Hints for names that are nearly right."""

import difflib
from collections.abc import Iterable

import pytest

from groundplane.hint import MAX_WORK, Work, did_you_mean, nearest


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what each comparison that is made costs: pairs of characters."""
    costs: list[int] = []
    real = difflib.get_close_matches

    def matches(word: str, names: Iterable[str], n: int, cutoff: float) -> list[str]:
        listed = list(names)
        costs.extend(len(word) * len(each) for each in listed)
        return real(word, listed[:3], n, cutoff)

    monkeypatch.setattr(difflib, "get_close_matches", matches)
    return costs


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("selektor", '; did you mean "selector"?'),
        ("CLUSTERIP", '; did you mean "clusterIP"?'),
        ("replicas", ""),
    ],
)
def test_a_hint_names_the_nearest_name_or_nothing(name: str, hint: str) -> None:
    assert did_you_mean(name, ["selector", "clusterIP", "ports"]) == hint


NAMES = [f"{number:05}{'x' * 58}" for number in range(20_000)]


def test_of_thousands_of_names_those_next_to_it_are_compared(compared: list[int]) -> None:
    assert nearest(f"07777{'x' * 57}y", NAMES) == f"07777{'x' * 58}"
    assert sum(compared) <= MAX_WORK // 20


def test_thousands_of_wrong_names_share_the_work_of_one_catalog(compared: list[int]) -> None:
    """Each of 20,000 would be compared with each of 20,000: hours."""
    work = Work()
    hinted = [did_you_mean(f"{name[:-1]}y", NAMES, work) for name in NAMES]
    assert hinted[0] == f'; did you mean "{NAMES[0]}"?'
    assert set(hinted[20:]) == {""}
    assert sum(compared) <= MAX_WORK


def test_a_name_that_none_can_be_is_not_compared(compared: list[int]) -> None:
    assert nearest("selector" * 1_000_000, ["selector"]) == ""
    assert nearest("selector", ["selector" * 1_000_000, "selektor"]) == "selektor"
    assert sum(compared) == len("selector") * len("selektor")


def test_without_work_there_is_no_hint() -> None:
    assert did_you_mean("selektor", ["selector"], Work(0)) == ""
