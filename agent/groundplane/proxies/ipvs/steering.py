"""Steering of packets to IPVS, which takes only packets delivered on this node.

Packets are steered by a mark, a policy rule and routes that make services' ranges local. So no
service address is on a device, none is answered by ARP, and none reaches a listener of the node.
Ours are the rule and the routes with our numbers, and the table `groundplane-ipvs` of the families
ip and ip6.
"""

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from groundplane.errors import KernelRefused
from groundplane.kernel import owned
from groundplane.kernel.netlink import AF, Socket, attribute, netfilter
from groundplane.kernel.ruleset.load import load
from groundplane.kernel.tables import GET_CHAINS, Table, digest_of, has_table, remove_tables
from groundplane.net.address import family_of, network
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template

TABLES: Final = (Table("ip", owned.IPVS_TABLE), Table("ip6", owned.IPVS_TABLE))
_LOOPBACK: Final = 1  # the index of lo, in every network namespace
_LOCAL: Final = 2  # RTN_LOCAL
_TRIES: Final = 10  # to read a table as a whole


def rules(base: NodeBase) -> str:
    """Return the nftables tables that lead packets to IPVS."""
    return render_template(
        "proxies/ipvs-steering.nft.j2",
        families=[
            {
                "ip": "ip" if family == "IPv4" else "ip6",
                "icmp": "icmp" if family == "IPv4" else "icmpv6",
                "balanced": balanced(base, family),
            }
            for family in base.families
        ],
    )


def balanced(base: NodeBase, family: Family) -> list[str]:
    """Return the ranges of *family* whose addresses belong to services and to no device.

    Only these are routed here: a reverse-path lookup with the packet's mark (firewalld's
    IPv6_rpfilter, src_valid_mark) finds the client's own route.
    """
    ranges = (*base.service_cidrs, *base.external_cidrs)
    return [cidr for cidr in ranges if family_of(cidr) == family]


class _Led(NamedTuple):
    """The node, the rules, and the digests of the tables when they were loaded."""

    base: NodeBase
    rules: str
    tables: tuple[bytes, ...]


class Steering:
    """The steering of packets to IPVS in the network namespace of this process, as last known."""

    def __init__(self) -> None:
        self._last: _Led | None = None

    def lead(self, base: NodeBase) -> None:
        """Lead marked packets to IPVS unless that is known to be done; KernelRefused on failure."""
        if self._last and self._last.base is base:
            return
        wanted = rules(base)
        if self._last and self._last.rules == wanted:
            self._last = self._last._replace(base=base)
            return
        load(wanted, instead_of=TABLES)
        with IPRoute() as netlink:
            for family in base.families:
                for cidr in balanced(base, family):
                    _accept(netlink.route, "add", _route(AF[family], cidr), errno.EEXIST)
                _accept(netlink.rule, "add", _rule(AF[family]), errno.EEXIST)
        self._last = _Led(base, wanted, _digests(base))

    def holds(self) -> bool:
        """Return whether tables, rules and routes are unchanged; if not, forget them."""
        if self._last and not (
            _digests(self._last.base) == self._last.tables and _is_routed(self._last.base)
        ):
            self._last = None
            return False
        return True


def let_go() -> None:
    """Remove the steering of packets to IPVS."""
    absent = errno.ENOENT, errno.ESRCH, errno.EAFNOSUPPORT, errno.EOPNOTSUPP
    with IPRoute() as netlink:
        for family in AF.values():
            _accept(netlink.rule, "del", _rule(family), *absent)
            for cidr in _routed(netlink, family):
                _accept(netlink.route, "del", _route(family, cidr), *absent)
    remove_tables(TABLES)


def is_whole(base: NodeBase) -> bool:
    """Return whether tables, rule and routes exist, regardless of the tables' content."""
    return all(_digests(base)) and _is_routed(base)


def is_there() -> bool:
    """Return whether any part of the steering exists."""
    netlink = Socket()
    try:
        return any(has_table(netlink, family, owned.IPVS_TABLE) for family in AF.values())
    finally:
        netlink.close()


def _digests(base: NodeBase) -> tuple[bytes, ...]:
    """Return a digest of each of our tables, b"" for a missing one."""
    netlink = Socket()
    try:
        return tuple(_digest(netlink, AF[family]) for family in base.families)
    finally:
        netlink.close()


def _digest(netlink: Socket, family: int) -> bytes:
    for _ in range(_TRIES):
        with suppress(InterruptedError):  # other programs changed rules during the dump
            try:
                return digest_of(netlink, family, owned.IPVS_TABLE, ("balanced",))
            except FileNotFoundError:
                break
    return b""


def _is_routed(base: NodeBase) -> bool:
    """Return whether our rules and the routes of all ranges exist."""
    with IPRoute() as netlink:
        return all(
            _is_ruled(netlink, AF[family])
            and _routed(netlink, AF[family]).issuperset(
                str(network(cidr).cidr) for cidr in balanced(base, family)
            )
            for family in base.families
        )


def _is_ruled(netlink: IPRoute, family: int) -> bool:
    """Return whether our rule exists, with our mark and our table."""
    wanted = owned.IPVS_MARK, owned.IPVS_MARK_MASK, owned.IPVS_ROUTES
    found = netlink.get_rules(family=family, priority=owned.IPVS_RULE)
    return any((e.get("fwmark"), e.get("fwmask"), e.get("table")) == wanted for e in found)


def _routed(netlink: IPRoute, family: int) -> set[str]:
    """Return the ranges in our routing table."""
    found = netlink.get_routes(family=family, table=owned.IPVS_ROUTES)
    return {f"{each.get('dst')}/{each['dst_len']}" for each in found}


def _rule(family: int) -> dict[str, Any]:
    return {
        "family": family, "table": owned.IPVS_ROUTES, "priority": owned.IPVS_RULE,
        "fwmark": owned.IPVS_MARK, "fwmask": owned.IPVS_MARK_MASK, "protocol": owned.ROUTE_PROTOCOL,
    }  # fmt: skip


def _route(family: int, cidr: str) -> dict[str, Any]:
    return {
        "family": family, "table": owned.IPVS_ROUTES, "dst": cidr, "type": _LOCAL, "oif": _LOOPBACK,
        "scope": 254, "proto": owned.ROUTE_PROTOCOL,
    }  # fmt: skip


def _accept(
    function: Callable[..., object], verb: str, arguments: dict[str, Any], *done: int
) -> None:
    """Add or delete a rule or a route; the errors *done* mean that this was already so."""
    try:
        function(verb, **arguments)
    except NetlinkError as error:
        if error.code not in done:
            raise KernelRefused(f"no way to IPVS: {error}") from None


def is_led_to() -> bool:
    """Return whether the service rules still lead to IPVS: whether their chain for it exists."""
    netlink = Socket()
    try:
        return any(
            _has_chain(
                netlink, netfilter(family) + attribute(1, owned.SERVICES_TABLE.encode() + b"\0")
            )
            for family in AF.values()
        )
    finally:
        netlink.close()


def _has_chain(netlink: Socket, table: bytes) -> bool:
    try:
        return bool(list(netlink.ask(GET_CHAINS, 0, table + attribute(3, b"balance\0"))))
    except FileNotFoundError:
        return False
