"""Hints for names that are nearly right."""

import pytest

from groundplane.model.hint import did_you_mean


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
