"""All nodes of a site, side by side."""

import msgspec
import pytest

from groundplane.agent.status import PlaneStatus, Status
from groundplane.node.fleet import NodeAnswer, compare, table

GOOD = Status(
    "n1", "1.0", 7, 0.0, "/src", "abc", 1, 100.0, 3, source_revision="0123456789abcdef",
    planes=(PlaneStatus("nftables"), PlaneStatus("dns")),
)  # fmt: skip


def answer(**changes: object) -> NodeAnswer:
    return NodeAnswer(msgspec.structs.replace(GOOD, **changes), running=True)


def test_nodes_with_the_newest_revision_are_well() -> None:
    rows = compare({"n1": answer(), "n2": answer(applied=101.0)}, 200.0)
    assert all(row.well for row in rows)
    assert [
        ("n1", "as declared", "0123456789ab", "abc", "0", "0", "0"),
        ("n2", "as declared", "0123456789ab", "abc", "0", "0", "0"),
    ] == table(rows)[1]


def test_a_node_lags_since_another_one_used_the_newest_revision_first() -> None:
    old = answer(revision="old", applied=50.0)
    rows = compare({"n1": answer(), "n2": answer(applied=150.0), "n3": old}, 200.0)
    assert [0.0, 0.0, 100.0] == [row.lag for row in rows]
    assert [True, True, False] == [row.well for row in rows]


@pytest.mark.parametrize(
    ("changes", "state", "detail"),
    [
        ({"source_error": "held back: x", "change_held": True}, "held back", "held back: x"),
        ({"source_error": "a.yaml:1: y"}, "refused", "a.yaml:1: y"),
        ({"planes": (PlaneStatus("dns", "no BIND"),)}, "dns behind", "no BIND"),
        ({"planes": (PlaneStatus("dns", contested="by x"),)}, "dns behind", "by x"),
        (
            {"planes": (PlaneStatus("dns", busy_since=1.0),)},
            "dns busy",
            "it may not be as declared",
        ),
        ({"store_error": "full"}, "not kept", "full"),
        ({"revision": ""}, "no site", "the agent has no site yet"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_the_agent(
    changes: dict[str, object], state: str, detail: str
) -> None:
    (row,) = compare({"n1": answer(**changes)}, 200.0)
    assert (state, detail, False) == (row.state, row.detail, row.well)


def test_a_node_that_says_nothing_and_one_whose_agent_is_stopped() -> None:
    silent, stopped = compare(
        {
            "n1": NodeAnswer(None, error="refused"),
            "n2": NodeAnswer(GOOD, running=False, error="gone"),
        },
        200.0,
    )
    assert ("no answer", None, "refused") == (silent.state, silent.lag, silent.detail)
    assert ("agent stopped", "gone") == (stopped.state, stopped.detail)
    assert not silent.well
    assert not stopped.well
