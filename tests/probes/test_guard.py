"""When failures may be this node's own fault."""

from collections.abc import Collection

import pytest
from msgspec.structs import replace

from groundplane.probes.guard import doubtful
from groundplane.probes.prober import ProbeKey
from tests.probes.servers import probe


def key(name: str) -> ProbeKey:
    return "default", name


def services(workloads: Collection[ProbeKey]) -> set[str]:
    """A workload's service is the letter that its name begins with."""
    return {name[0] for _, name in workloads}


@pytest.mark.parametrize(
    ("fallen", "failing_once", "others", "expected"),
    [
        # all that other nodes have fails, the first of them often enough
        ("a1", "a2 b1 b2", "", "a1"),
        ("a1 a2 b1 b2", "", "", "a1 a2 b1 b2"),
        # more than half of what passed
        ("a1", "b1", "a2", "a1"),
        ("a1", "b1", "a2 b2", ""),
        # one service alone may fail as a whole
        ("a1", "a2 a3", "", ""),
        # what fails on the node itself is true
        ("a1 b1 local", "a2 b2", "", "a1 b1"),
        ("local", "a1 a2 b1 b2", "", ""),
        ("", "a1 a2 b1 b2", "", ""),
    ],
)
def test_most_of_others_workloads_failing_at_once_is_doubted(
    fallen: str, failing_once: str, others: str, expected: str
) -> None:
    names = {*fallen.split(), *failing_once.split(), *others.split()}
    probes = {key(name): replace(probe(1, name=name), node="n2") for name in names}
    if key("local") in probes:
        probes[key("local")] = probe(1, name="local")
    failing = {key(name) for name in fallen.split()}
    stumbling = failing | {key(name) for name in failing_once.split()}
    found = doubtful("n1", probes, failing, stumbling, failing, services)
    assert {key(name) for name in expected.split()} == found


def test_what_has_failed_for_long_says_nothing_of_now() -> None:
    dead = {key(f"c{number}") for number in range(9)}
    probes = {
        each: replace(probe(1, name=each[1]), node="n2") for each in (*dead, key("a"), key("b"))
    }
    failing = dead | {key("a")}
    assert frozenset() == doubtful("n1", probes, failing, failing, {key("a")}, services)
    fallen = {key("a"), key("b")}
    assert fallen == doubtful("n1", probes, dead | fallen, dead | fallen, fallen, services)


def test_what_is_probed_no_more_is_not_doubted() -> None:
    gone = {key("a"), key("b")}
    assert frozenset() == doubtful("n1", {}, gone, gone, gone, services)
