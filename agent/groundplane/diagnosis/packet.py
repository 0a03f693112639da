"""Matching of a partly known packet: yes, no, or unknown. Pure.

Expressions are those of libnftables-json(5). Unknown fields of a packet and unsupported expressions
give None, never a guess.
"""

import ipaddress
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal

import msgspec

from groundplane.net.protocols import Family

_PROTOCOLS: Final = {
    "tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58, "dccp": 33,
}  # fmt: skip


class KnownPacket(msgspec.Struct, frozen=True, kw_only=True):
    """The first packet of a connection, or a reply if *state* is established.

    *incoming* and *outgoing* are interfaces, "" if the hook has none. None means "unknown".
    *translated*: a service's translation has been applied. *local*: the destination is an address
    of the node. *mark* is the packet's, *label* the one bit of its connection's labels that is
    known to be set.
    """

    family: Literal["ip", "ip6"]
    protocol: str  # tcp, udp, sctp, icmpv6
    source: str | None
    destination: str | None
    incoming: str | None = ""
    outgoing: str | None = ""
    port: int | None = None
    type: str = ""  # of ICMP
    state: Literal["new", "established"] = "new"
    translated: bool = False
    local: bool | None = None
    mark: int | None = None
    label: int | None = None

    @property
    def ip_family(self) -> Family:
        return "IPv4" if self.family == "ip" else "IPv6"


class _Special(Enum):
    UNKNOWN = 0
    ABSENT = (
        1  # a field of another protocol: nft's implicit dependency fails, the rule does not match
    )


_MARK_BITS: Final = 32  # the one number that nft writes as a prefix where a rule has a mask

SetElements = Mapping[str, tuple[Any, ...]]  # of the named sets and maps of a table


def matches(packet: KnownPacket, match: Mapping[str, Any], elements: SetElements) -> bool | None:
    """Return whether the expression `match` holds for *packet*."""
    value = _value(packet, match["left"])
    if value is _Special.ABSENT:
        return False
    return _compared(match.get("op", "=="), value, match["right"], elements)


def looked_up(
    packet: KnownPacket, vmap: Mapping[str, Any], elements: SetElements
) -> list[tuple[bool | None, Any]]:
    """Return the elements of a verdict map that *packet* may match, with their verdicts.

    A map whose elements are unknown gives none.
    """
    value = _value(packet, vmap["key"])
    if value is _Special.ABSENT:
        return []
    found: list[tuple[bool | None, Any]] = []
    for key, verdict in _listed(vmap["data"], elements) or ():
        fits = _equal(value, key, elements)
        if fits is not False:
            found.append((fits, verdict))
        if fits:
            break
    return found


def _listed(data: Any, elements: SetElements) -> tuple[Any, ...] | None:
    if isinstance(data, str) and data.startswith("@"):
        return elements.get(data[1:])
    if isinstance(data, Mapping) and "set" in data:
        listed = data["set"]
        return tuple(listed) if isinstance(listed, list | tuple) else (listed,)
    return None


# ------------------------------------------------------------------------------------------------
# The left side: a field of the packet.


def _value(packet: KnownPacket, left: Any) -> Any:
    if isinstance(left, Mapping):
        for kind, content in left.items():
            if kind == "meta":
                return _meta(packet, content["key"])
            if kind == "payload":
                return _payload(packet, content)
            if kind == "ct":
                return _conntrack(packet, content)
            if kind == "fib":
                return _fib(packet, content)
            if kind == "&" and isinstance(content[1], int):
                masked = _value(packet, content[0])
                return masked & content[1] if isinstance(masked, int) else _Special.UNKNOWN
            if kind == "concat":
                parts = [_value(packet, part) for part in content]
                return _Special.ABSENT if _Special.ABSENT in parts else tuple(parts)
    return _Special.UNKNOWN


def _known(value: object) -> Any:
    return _Special.UNKNOWN if value is None else value


def _meta(packet: KnownPacket, key: str) -> Any:
    fields: dict[str, Any] = {
        "iifname": packet.incoming,
        "iif": packet.incoming,
        "oifname": packet.outgoing,
        "oif": packet.outgoing,
        "nfproto": "ipv4" if packet.family == "ip" else "ipv6",
        "protocol": packet.family,
        "l4proto": _PROTOCOLS[packet.protocol],
        "pkttype": "host",
        "mark": packet.mark,
    }
    return _known(fields.get(key))


def _payload(packet: KnownPacket, content: Mapping[str, Any]) -> Any:
    protocol, field = content.get("protocol", ""), content.get("field", "")
    if protocol in ("ip", "ip6"):
        if protocol != packet.family:
            return _Special.ABSENT
        fields: dict[str, Any] = {
            "saddr": packet.source,
            "daddr": packet.destination,
            "protocol": _PROTOCOLS[packet.protocol],
            "nexthdr": _PROTOCOLS[packet.protocol],
            "hoplimit": 255 if packet.type.startswith("nd-") else None,  # RFC 4861
        }
        return _known(fields.get(field))
    if protocol == "th":
        return _known(packet.port if field == "dport" else None)
    if protocol in _PROTOCOLS or protocol in ("udplite", "ah", "esp", "comp"):
        if _PROTOCOLS.get(protocol) != _PROTOCOLS[packet.protocol]:
            return _Special.ABSENT
        if field == "type":
            return packet.type or _Special.UNKNOWN
        return _known(packet.port if field == "dport" else None)
    if protocol == "arp":
        return _Special.ABSENT
    return _Special.UNKNOWN


def _conntrack(packet: KnownPacket, content: Mapping[str, Any]) -> Any:
    key = content["key"]
    if key == "state":
        return packet.state
    if key == "status":
        return frozenset({"dnat"} if packet.translated else ())
    if key == "label" and packet.label is not None:
        return frozenset({packet.label})
    if key == "direction" and packet.state == "new":
        return "original"
    return _Special.UNKNOWN


def _fib(packet: KnownPacket, content: Mapping[str, Any]) -> Any:
    flags = content.get("flags", ())
    if content.get("result") == "type" and "daddr" in flags and packet.local is not None:
        return "local" if packet.local else "unicast"
    return _Special.UNKNOWN


# ------------------------------------------------------------------------------------------------
# The right side: a value, a range, or many.


def _compared(op: str, value: Any, right: Any, elements: SetElements) -> bool | None:
    if value is _Special.UNKNOWN:
        return None
    if isinstance(value, frozenset):  # bits, only some of which are known
        known = right == "dnat" or right in value
        return right in value if op in ("in", "==") and known else None
    if op in ("==", "in"):
        return _equal(value, right, elements)
    if op == "!=":
        equal = _equal(value, right, elements)
        return None if equal is None else not equal
    if isinstance(value, int) and isinstance(right, int):
        return {
            "<": value < right,
            ">": value > right,
            "<=": value <= right,
            ">=": value >= right,
        }.get(op)
    return None


def _any(answers: list[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def _equal(value: Any, right: Any, elements: SetElements) -> bool | None:
    """Return whether *value* equals *right*, or is one of the values *right* represents."""
    if value is _Special.UNKNOWN:
        return True if right == "*" else None
    if isinstance(right, list | tuple):
        return _any([_equal(value, each, elements) for each in right])
    if isinstance(right, Mapping):
        return _composed(value, right, elements)
    if isinstance(right, str) and right.startswith("@"):
        listed = elements.get(right[1:])
        if listed is None:
            return None
        # The elements of a map are pairs; as a set it is its keys.
        keys = [each[0] if isinstance(each, list | tuple) else each for each in listed]
        return _any([_equal(value, key, elements) for key in keys])
    return _plain(value, right)


def _composed(value: Any, right: Mapping[str, Any], elements: SetElements) -> bool | None:
    ((kind, content),) = list(right.items())[:1]
    if kind == "set":
        listed = content if isinstance(content, list | tuple) else [content]
        return _any([_equal(value, each, elements) for each in listed])
    if kind == "elem":
        return _equal(value, content["val"], elements)
    if kind == "concat" and isinstance(value, tuple):
        parts = [_equal(one, other, elements) for one, other in zip(value, content, strict=False)]
        return False if False in parts else None if None in parts else True
    if kind == "prefix" and isinstance(value, int) and isinstance(content["addr"], int):
        return bool(value ^ content["addr"] < 1 << _MARK_BITS - content["len"])
    if kind == "prefix":
        return _within(value, f"{content['addr']}/{content['len']}")
    if kind == "range":
        return _between(value, *content)
    return None


def _plain(value: Any, right: Any) -> bool | None:
    if right == "*":
        return True
    if isinstance(value, int) and isinstance(right, str):
        return value == _PROTOCOLS[right] if right in _PROTOCOLS else None
    if isinstance(value, str) and isinstance(right, str):
        if right.endswith("*"):
            return value.startswith(right[:-1])
        return value == right or (
            _address(value) is not None and _address(value) == _address(right)
        )
    return bool(value == right) if type(value) is type(right) else None


def _address(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _within(value: object, cidr: str) -> bool | None:
    address = _address(value)
    try:
        return None if address is None else address in ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None


def _between(value: object, first: object, last: object) -> bool | None:
    if isinstance(value, int) and isinstance(first, int) and isinstance(last, int):
        return first <= value <= last
    address, low, high = _address(value), _address(first), _address(last)
    if address is None or low is None or high is None:
        return None
    return address.version == low.version and int(low) <= int(address) <= int(high)
