"""Selectors: a workload of the namespace that has every pair."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.documents.selector import LabelIndex
from tests.catalogs import workload

PAIRS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


def selected(labels: list[dict[str, str]], selector: dict[str, str]) -> list[str]:
    index = LabelIndex(workload(f"w{n}", "n1", each) for n, each in enumerate(labels))
    return [each.metadata.name for each in index.matching("default", selector)]


def test_a_workload_with_every_pair_matches() -> None:
    assert selected([{"a": "x", "b": "y", "c": "z"}], {"a": "x", "b": "y"}) == ["w0"]


def test_a_workload_without_one_pair_does_not_match() -> None:
    assert selected([{"a": "x"}, {"a": "x", "b": "x"}], {"a": "x", "b": "y"}) == []


def test_an_empty_selector_selects_nothing() -> None:
    assert selected([{}, {"a": "x"}], {}) == []


def test_a_workload_of_another_namespace_does_not_match() -> None:
    index = LabelIndex([workload("w", "n1", {"a": "x"})])
    assert index.matching("shop", {"a": "x"}) == []


@given(labels=st.lists(PAIRS, max_size=6), selector=PAIRS)
def test_the_index_finds_what_comparing_all_would(
    labels: list[dict[str, str]], selector: dict[str, str]
) -> None:
    assert selected(labels, selector) == [
        f"w{n}" for n, each in enumerate(labels) if selector and selector.items() <= each.items()
    ]
