"""What a deploy asks a node's agent."""

import pytest

from groundplane_deploys.facts.agent import DeclaredRevision


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (['{"revision": "abc",', ' "healthy": true}'], "abc"),
        (['{"revision": "abc", "healthy": false}'], ""),
        (["sh: 1: groundplane: not found"], ""),
        ([], ""),
    ],
)
def test_a_revision_counts_where_all_is_as_declared(output: list[str], found: str) -> None:
    assert found == DeclaredRevision().process(output)
