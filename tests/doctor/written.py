"""Rules of others, as nft lists them in JSON."""

from typing import Any

from msgspec.structs import replace

from groundplane.doctor import (
    Facts,
)
from tests.doctor.findings import GOOD, OURS

ACCEPT, DROP, NOTRACK = {"accept": None}, {"drop": None}, {"notrack": None}


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def iif(name: str) -> dict[str, Any]:
    return match({"meta": {"key": "iifname"}}, name)


def oif(name: str) -> dict[str, Any]:
    return match({"meta": {"key": "oifname"}}, name)


def dport(protocol: str, port: int) -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": "dport"}}, port)


def daddr(address: str, ip: str = "ip") -> dict[str, Any]:
    return match({"payload": {"protocol": ip, "field": "daddr"}}, address)


TRANSLATED = match({"ct": {"key": "status"}}, "dnat", "in")
ESTABLISHED = match({"ct": {"key": "state"}}, ["established", "related"], "in")


def rules(
    hook: str,
    *written: list[dict[str, Any]],
    family: str = "inet",
    table: str = "filter",
    name: str = "",
    kind: str = "filter",
    priority: int = 0,
    policy: str = "drop",
    chains: tuple[str, ...] = (),
) -> Facts:
    """Return GOOD with a table that has a base chain at *hook*, and empty *chains*."""
    place = {"family": family, "table": table}
    chain = name or hook
    objects: list[dict[str, Any]] = [
        {"table": {"family": family, "name": table}},
        {
            "chain": place
            | {"name": chain, "type": kind, "hook": hook, "prio": priority, "policy": policy}
        },
        *({"chain": place | {"name": each}} for each in chains),
        *(
            {"rule": place | {"chain": chain, "expr": expressions, "handle": handle}}
            for handle, expressions in enumerate(written, 4)
        ),
    ]
    return replace(GOOD, ruleset=(*OURS, *objects))
