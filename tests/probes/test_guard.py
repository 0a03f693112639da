"""When failures may be this node's own fault."""

from collections.abc import Collection

import pytest
from msgspec.structs import replace

from groundplane.probes.guard import doubtful
from groundplane.probes.prober import Key, Verdict
from tests.probes.servers import probe


def key(name: str) -> Key:
    return "default", name


def services(workloads: Collection[Key]) -> set[str]:
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
    verdicts = {key(name): Verdict(True, 0, "connected", 0, 0) for name in names}
    for name in failing_once.split():
        verdicts[key(name)] = Verdict(True, 0, "no answer", 0, 1)
    for name in fallen.split():
        verdicts[key(name)] = Verdict(False, 0, "no answer", 0, 3)
    found = doubtful("n1", probes, verdicts, {key(name) for name in fallen.split()}, services)
    assert {key(name) for name in expected.split()} == found


def test_what_has_failed_for_long_says_nothing_of_now() -> None:
    dead = {key(f"c{number}") for number in range(9)}
    probes = {
        each: replace(probe(1, name=each[1]), node="n2") for each in (*dead, key("a"), key("b"))
    }
    verdicts = {each: Verdict(False, 0, "no answer", 0, 99) for each in dead}
    verdicts |= {key("a"): Verdict(False, 0, "", 0, 3), key("b"): Verdict(True, 0, "", 0, 0)}
    assert frozenset() == doubtful("n1", probes, verdicts, {key("a")}, services)
