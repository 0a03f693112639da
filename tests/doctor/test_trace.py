"""The way of a packet through chains."""

from typing import Any

import pytest

from groundplane.diagnosis.packet import KnownPacket
from groundplane.diagnosis.ruleset import ListedChain, Ruleset, parse
from groundplane.doctor.trace import final_verdict, outcomes

PACKET = KnownPacket(
    family="ip", protocol="tcp", source="10.244.1.10", destination="10.244.1.11", incoming="a"
)
YES = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "a"}}
NO = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "b"}}
PERHAPS = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}
ACCEPT, DROP, REJECT, RETURN, COUNTER, LOG, LIMIT, NOTRACK = (
    dict[str, Any]({each: None})
    for each in ("accept", "drop", "reject", "return", "counter", "log", "limit", "notrack")
)
DNAT = {"dnat": {"addr": "1.1.1.1"}}


def jump(target: str) -> dict[str, Any]:
    return {"jump": {"target": target}}


def goto(target: str) -> dict[str, Any]:
    return {"goto": {"target": target}}


def vmap(*choices: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": list(map(list, choices))}}
    }


def ruleset(
    policy: str = "drop", **chains: list[list[dict[str, Any]]]
) -> tuple[Ruleset, ListedChain]:
    """Return the ruleset of *chains*; `base` is a base chain of *policy*."""
    place = {"family": "ip", "table": "t"}
    objects: list[dict[str, Any]] = [{"table": {"family": "ip", "name": "t"}}]
    for name, rules in chains.items():
        hook = {"type": "filter", "hook": "forward", "prio": 0, "policy": policy}
        base: dict[str, Any] = hook if name == "base" else {}
        objects.append({"chain": place | {"name": name} | base})
        objects += [{"rule": place | {"chain": name, "expr": rule}} for rule in rules]
    parsed = parse(objects)
    return parsed, parsed.chains["ip", "t", "base"]


def end(policy: str = "drop", **chains: list[list[dict[str, Any]]]) -> tuple[str, bool]:
    """Return what becomes of the packet, and whether by the policy."""
    found = final_verdict(outcomes(*ruleset(policy, **chains), PACKET))
    return found.verdict, found.rule is None


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ([], ("drop", True)),
        ([[YES, COUNTER, LOG, ACCEPT]], ("accept", False)),
        ([[NO, ACCEPT]], ("drop", True)),
        ([[YES, NO, ACCEPT]], ("drop", True)),
        ([[PERHAPS, ACCEPT]], ("drop", True)),
        ([[PERHAPS, DROP], [ACCEPT]], ("accept", False)),
        ([[LIMIT, ACCEPT]], ("drop", True)),
        ([[REJECT], [ACCEPT]], ("drop", False)),
        ([[COUNTER], [NOTRACK], [ACCEPT]], ("accept", False)),
        ([[RETURN], [ACCEPT]], ("drop", True)),
        ([[vmap(("b", DROP), ("a", ACCEPT))]], ("accept", False)),
        ([[vmap(("b", DROP))], [ACCEPT]], ("accept", False)),
        ([[vmap(("a", {"continue": None}))], [ACCEPT]], ("accept", False)),
        ([[DNAT], [DROP]], ("translate", False)),
        ([[{"xt": {"type": "target", "name": "REJECT"}}], [ACCEPT]], ("drop", False)),
        ([[{"xt": {"type": "match", "name": "conntrack"}}, ACCEPT]], ("drop", True)),
        ([[{"xt": None}, ACCEPT]], ("drop", True)),
        ([[{"something newer": {}}, ACCEPT]], ("drop", True)),
    ],
)
def test_one_chain(base: list[list[dict[str, Any]]], expected: tuple[str, bool]) -> None:
    assert expected == end(base=base)


def test_an_accepting_policy() -> None:
    assert ("accept", True) == end("accept", base=[])


@pytest.mark.parametrize(
    ("base", "other", "expected"),
    [
        ([[jump("other")]], [[ACCEPT]], ("accept", False)),
        ([[jump("other")], [ACCEPT]], [[NO, DROP]], ("accept", False)),
        ([[jump("other")], [ACCEPT]], [[RETURN], [DROP]], ("accept", False)),
        ([[goto("other")], [ACCEPT]], [], ("drop", True)),
        ([[goto("other")], [ACCEPT]], [[RETURN]], ("drop", True)),
        ([[PERHAPS, jump("other")], [ACCEPT]], [[DROP]], ("accept", False)),
        ([[PERHAPS, goto("other")], [ACCEPT]], [[DROP]], ("accept", False)),
        ([[vmap(("a", jump("other")))], [DROP]], [[ACCEPT]], ("accept", False)),
        ([[jump("nowhere")], [ACCEPT]], [], ("accept", False)),
    ],
)
def test_chains_that_are_jumped_to(
    base: list[list[dict[str, Any]]],
    other: list[list[dict[str, Any]]],
    expected: tuple[str, bool],
) -> None:
    assert expected == end(base=base, other=other)


def test_both_ways_of_what_cannot_be_told_are_followed() -> None:
    rules: list[list[dict[str, Any]]] = [
        [PERHAPS, jump("other")],
        [PERHAPS, NOTRACK],
        [ACCEPT],
        [DROP],
    ]
    found = outcomes(*ruleset(base=rules, other=[[PERHAPS, DNAT], [DROP], [ACCEPT]]), PACKET)
    assert [("translate", False), ("drop", False), ("notrack", False), ("accept", True)] == [
        (each.verdict, each.certain) for each in found
    ]


def test_a_circle_of_jumps_ends() -> None:
    """The kernel takes none, but what is read is only text."""
    assert ("drop", True) == end(base=[[jump("base")]])


def test_elements_of_named_maps() -> None:
    found, chain = ruleset(
        base=[[{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": "@verdicts"}}]]
    )
    elements = {("ip", "t", "verdicts"): (["a", ACCEPT],), ("ip6", "t", "verdicts"): (["a", DROP],)}
    assert (
        "accept"
        == final_verdict(outcomes(found._replace(elements=elements), chain, PACKET)).verdict
    )
