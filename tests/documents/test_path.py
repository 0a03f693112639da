"""Paths inside a document: written for a person, and read back."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.documents.path import join, steps


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (["spec"], "spec"),
        (["spec", "ports", 0, "name"], "spec.ports[0].name"),
        (["metadata", "labels", "app.example/name"], 'metadata.labels["app.example/name"]'),
        (["labels", 'a"b'], 'labels["a\\"b"]'),
        (["labels", "80"], "labels.80"),
        ([0, "a"], "[0].a"),
        (["labels", ""], 'labels[""]'),
    ],
)
def test_a_path_reads_as_one_would_write_it(parts: list[str | int], path: str) -> None:
    assert reduce(join, parts, "") == path


@given(parts=st.lists(st.one_of(st.integers(0, 99), st.text(), st.text(alphabet='.[]"\\a\n'))))
def test_the_steps_of_a_path_are_those_it_was_joined_from(parts: list[str | int]) -> None:
    assert list(steps(reduce(join, parts, ""))) == parts
