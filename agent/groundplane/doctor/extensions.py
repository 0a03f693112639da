"""Matches of iptables-nft that nft's JSON lists without their content. Pure.

A rule of iptables with an extension (`-m conntrack`, `-m addrtype`) is `{"xt": ...}` in JSON, but
`nft list` prints it in nft's own words, where iptables' libraries are there to translate it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_READ: Final = {"conntrack", "connlabel", "state", "addrtype", "icmp", "icmp6", "hl"}
_HANDLE: Final = re.compile(r"# handle (\d+)$")
_CONNTRACK: Final = re.compile(r"\bct (state|status) (!= )?([a-z]+(?:,[a-z]+)*)")
_LABEL: Final = re.compile(r"\bct label (!= )?(\d+)")
_ICMP: Final = re.compile(r"\b(icmp|icmpv6) type (!= )?([a-z-]+)")
_HOPS: Final = re.compile(r"\bip6 (hoplimit) (!= )?(\d+)")
# Everything of these kinds that a line has, read or not.
_PARTS: Final = re.compile(r"\b(?:ct|fib|xt) |\bicmp(?:v6)? (?:type|code) |\bip6 hoplimit ")
_FIB: Final = re.compile(r"\bfib (daddr|saddr) type (!= )?([a-z]+)\b")


def has_extensions(objects: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a rule among *objects* has one that `spelled_out` can read."""
    return any(_extensions(each) for each in objects)


def spelled_out(objects: Iterable[dict[str, Any]], listing: str) -> list[dict[str, Any]]:
    """Return *objects* with the matches of iptables as *listing* has them.

    *listing* is what `nft -a list table` prints of their table. A match that it does not
    translate stays what it is.
    """
    lines = {
        int(found[1]): line.strip()
        for line in listing.splitlines()
        if (found := _HANDLE.search(line))
    }
    return [_rewritten(each, lines) if _extensions(each) else each for each in objects]


def _extensions(listed: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the extensions of interest in the object *listed*; none if it is not a rule."""
    expressions = listed.get("rule", {}).get("expr", ())
    return [each for each in expressions if _name(each) in _READ]


def _name(expression: Mapping[str, Any]) -> str:
    extension = expression.get("xt")
    return extension.get("name", "") if isinstance(extension, Mapping) else ""


def _rewritten(listed: dict[str, Any], lines: Mapping[int, str]) -> dict[str, Any]:
    rule = listed["rule"]
    line = lines.get(rule.get("handle", 0), "")
    found = list(_matches(line))
    # As many as nft prints, so that a part of a match is not taken for the whole.
    if not found or len(found) != len(_PARTS.findall(line)):
        return listed
    others = [each for each in rule["expr"] if _name(each) not in _READ]
    return {"rule": rule | {"expr": [*found, *others]}}


def _matches(line: str) -> Iterator[dict[str, Any]]:
    for key, negated, values in _CONNTRACK.findall(line):
        right = values.split(",")
        op = "!=" if negated else "in"
        listed = right if len(right) > 1 else right[0]
        yield {"match": {"op": op, "left": {"ct": {"key": key}}, "right": listed}}
    for negated, number in _LABEL.findall(line):
        op = "!=" if negated else "in"
        yield {"match": {"op": op, "left": {"ct": {"key": "label"}}, "right": int(number)}}
    plain: list[tuple[dict[str, Any], str, Any]] = [
        ({"fib": {"result": "type", "flags": [flag]}}, negated, kind)
        for flag, negated, kind in _FIB.findall(line)
    ]
    plain += [
        ({"payload": {"protocol": protocol, "field": "type"}}, negated, kind)
        for protocol, negated, kind in _ICMP.findall(line)
    ]
    plain += [
        ({"payload": {"protocol": "ip6", "field": field}}, negated, int(number))
        for field, negated, number in _HOPS.findall(line)
    ]
    for left, negated, right in plain:
        yield {"match": {"op": "!=" if negated else "==", "left": left, "right": right}}
