"""Fields about layer-2 segments and links, shared by hypervisors and nodes."""

import re
from typing import Final

from groundplane.check.ranges import host_fault, range_fault
from groundplane.errors import FieldFaults
from groundplane.kernel.owned import LINKS
from groundplane.net import address

"""Pairs of path and error."""

_DEVICE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}\Z")
_MTU: Final = {"IPv4": 576, "IPv6": 1280}  # the least: RFC 791, RFC 8200
_MOST_MTU: Final = 65535


def segment(
    cidrs: tuple[str, ...], gateways: tuple[str, ...], nameservers: tuple[str, ...], mtu: int
) -> FieldFaults:
    """Yield field and error of everything wrong with a segment with the ranges *cidrs*."""
    if not cidrs:
        yield "cidrs", "at least one range is needed"
    families = [address.family_of(cidr) for cidr in cidrs]
    for index, cidr in enumerate(cidrs):
        if fault := range_fault(cidr):
            yield f"cidrs[{index}]", fault
        elif families[index] in families[:index]:
            yield f"cidrs[{index}]", f"a second {families[index]} range; one per family"
    least = max((_MTU[family] for family in families), default=_MTU["IPv4"])
    if not least <= mtu <= _MOST_MTU:
        yield "mtu", f"{mtu} is not an MTU here: {least} to {_MOST_MTU}"
    yield from within("gateways", gateways, cidrs)
    for index, server in enumerate(nameservers):
        if fault := host_fault(server):
            yield f"nameservers[{index}]", fault


def within(field: str, given: tuple[str, ...], cidrs: tuple[str, ...]) -> FieldFaults:
    """Yield an error for each of *given* outside *cidrs*, and for a second address of a family."""
    valid = [cidr for cidr in cidrs if range_fault(cidr) is None]
    families = [address.family_of(each) for each in given]
    for index, each in enumerate(given):
        if fault := host_fault(each):
            yield f"{field}[{index}]", fault
        elif families[index] in families[:index]:
            yield f"{field}[{index}]", f"a second {families[index]} address; one per family"
        elif valid and not any(address.contains(cidr, each) for cidr in valid):
            yield f"{field}[{index}]", f"{each} lies in none of the segment's ranges"


def addresses_on(addresses: tuple[str, ...], cidrs: tuple[str, ...], what: str) -> FieldFaults:
    """Yield an error for each of a node's *addresses* outside all ranges of *what*."""
    valid = [cidr for cidr in cidrs if range_fault(cidr) is None]
    for each in addresses:
        if host_fault(each) is None and not any(address.contains(cidr, each) for cidr in valid):
            yield "", f"{each}, an address of the node, lies in no range of {what}"


def vlan_number(number: int) -> str | None:
    """Return why *number* is not a VLAN ID (IEEE 802.1Q), or None if it is one."""
    return None if 1 <= number <= 4094 else f"{number} is not a VLAN: 1 to 4094"


def link_name(name: str) -> str | None:
    """Return why *name* is not a link name, or None if it is one."""
    if not _DEVICE.match(name):
        return f'"{name}" is not a link name: at most 15 letters, digits, "-", "_" and "."'
    if name.startswith(LINKS):
        return f'"{name}" is a name of ours'
    return None
