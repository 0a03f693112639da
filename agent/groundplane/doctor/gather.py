"""Read the node's state from /proc, ip(8) and nft(8), without changing it.

All of it belongs to the network namespace of the calling thread.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from groundplane.diagnosis.facts import AddressFact, Facts, Listener, PolicyRule, RouteFact
from groundplane.doctor.extensions import has_extensions, spelled_out
from groundplane.doctor.leftovers import found_here
from groundplane.errors import KernelRefused
from groundplane.kernel import owned
from groundplane.kernel.nft import list_table
from groundplane.kernel.owned import WORKLOAD_LINKS
from groundplane.kernel.tables import Table, list_tables
from groundplane.net.address import unpack
from groundplane.net.protocols import Family

_SYSCTLS: Final = Path("/proc/sys")
_SOCKETS: Final = Path("/proc/thread-self/net")  # /proc/net is that of the first thread
_WHOLE_NODE: Final = (
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/vs/conntrack",
    "net/ipv4/vs/expire_nodest_conn",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
)
_OF_AN_INTERFACE: Final = (
    "net/ipv4/conf/{}/forwarding",
    "net/ipv4/conf/{}/rp_filter",
    "net/ipv4/conf/{}/send_redirects",
    "net/ipv6/conf/{}/forwarding",
    "net/ipv6/conf/{}/accept_ra",
)
_KINDS: Final = {  # rtnetlink(7), rtm_type
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
    7: "unreachable", 8: "prohibit", 9: "throw",
}  # fmt: skip
_MAIN: Final = 254
_TABLES: Final = (_MAIN, 255)  # main, local
_BOOT: Final = 3  # the route protocol that ip(8) does not print
# What `ip -j rule show` prints of a rule besides its selectors; a mark is a fact of its own.
_OF_ANY_RULE: Final = frozenset(
    {"priority", "table", "action", "not", "fwmark", "fwmask", "protocol"}
    | {"suppress_prefixlen", "suppress_ifgroup", "flags"}
)


def gather(sysctls: Path = _SYSCTLS, sockets: Path = _SOCKETS) -> Facts:
    """Return the facts of this node; KernelRefused when ip(8) fails.

    *sysctls* and *sockets* are the directories of the kernel's settings and of its lists of sockets.
    """
    links = json.loads(_output("ip", "-j", "address", "show") or "[]")
    routes: list[RouteFact] = []
    rules: list[PolicyRule] = []
    families: tuple[tuple[Family, str, str], ...] = (
        ("IPv4", "-4", "0.0.0.0/0"),
        ("IPv6", "-6", "::/0"),
    )
    for family, flag, default in families:
        listed = _output("ip", "-N", "-j", flag, "route", "show", "table", "all")
        routes += parse_routes(listed, default)
        if tables := destinations(listed, default):  # a kernel without IPv6 refuses the question
            listed = _output("ip", "-N", "-j", flag, "rule", "show")
            rules += parse_rules(listed, family, tables)
    interfaces = {link["ifname"]: "UP" in link.get("flags", ()) for link in links}
    ruleset, unreadable = _read_ruleset()
    return Facts(
        sysctls=dict(_sysctls(sysctls, interfaces)),
        interfaces={
            name: up for name, up in interfaces.items() if not name.startswith(WORKLOAD_LINKS)
        },
        addresses=tuple(addresses(links)),
        routes=tuple(routes),
        policy_rules=tuple(rules),
        listeners=tuple(_listeners(sockets)),
        ruleset=ruleset,
        unreadable=unreadable,
        legacy_tables=tuple(_legacy_tables(sockets)),
        workloads=tuple(found_here(())),
    )


def _read_ruleset() -> tuple[tuple[dict[str, Any], ...] | None, tuple[str, ...]]:
    """Return the objects of all tables, None if none is readable, and why some are not."""
    unreadable: list[str] = []
    try:
        tables = list_tables()
    except KernelRefused as refused:
        return None, (str(refused),)
    found = tuple(_ruleset(tables, unreadable))
    blind = len(unreadable) == len(tables) > 0
    return None if blind else found, tuple(dict.fromkeys(unreadable))


def _output(*command: str) -> str:
    """Return what *command* prints; KernelRefused with what it says instead."""
    if shutil.which(command[0]) is None:
        raise KernelRefused(f"{command[0]} is not installed")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise KernelRefused(f"{command[0]}: {lines[0] if lines else 'it failed'}")
    return done.stdout


def _sysctls(directory: Path, interfaces: Iterable[str]) -> Iterator[tuple[str, str]]:
    names = ["all", *(each for each in interfaces if not each.startswith(WORKLOAD_LINKS))]
    of_interfaces = [pattern.format(name) for name in names for pattern in _OF_AN_INTERFACE]
    for path in (*_WHOLE_NODE, *of_interfaces):
        try:
            yield path, (directory / path).read_text().strip()
        except OSError:  # a kernel without IPv6, bridges or conntrack does not have it
            continue


def addresses(links: Iterable[dict[str, Any]]) -> Iterator[AddressFact]:
    """Yield the addresses that `ip -j address` lists."""
    for link in links:
        for each in link.get("addr_info", ()):
            if "local" in each:
                yield AddressFact(link["ifname"], each["local"], each["prefixlen"])


def parse_rules(
    text: str, family: Family, tables: Mapping[int, Sequence[str]]
) -> Iterator[PolicyRule]:
    """Yield the rules that `ip -N -j rule show` lists of *family*; *tables* have these ranges."""
    for each in json.loads(text or "[]"):
        if "nop" in each:
            continue
        selectors = {key for key, value in each.items() if (key, value) != ("src", "all")}
        table, suppressed = int(each.get("table", 0)), each.get("suppress_prefixlen", -1)
        yield PolicyRule(
            family,
            each["priority"],
            table,
            int(each["fwmark"], 0) if "fwmark" in each else None,
            int(each.get("fwmask", "0xffffffff"), 0),
            "not" in each,
            not selectors <= _OF_ANY_RULE,
            tuple(to for to in tables.get(table, ()) if int(to.split("/")[1]) > suppressed),
        )


def destinations(text: str, default: str) -> dict[int, list[str]]:
    """Return by table the ranges to which `ip -N -j route show table all` lists routes."""
    found: dict[int, list[str]] = {}
    for each in json.loads(text or "[]"):
        found.setdefault(int(each.get("table", _MAIN)), []).append(_range(each["dst"], default))
    return found


def _range(destination: str, default: str) -> str:
    """Return ip(8)'s *destination* as a range; *default* is the range of a default route."""
    if destination == "default":
        return default
    if "/" in destination:
        return destination
    return f"{destination}/{128 if ':' in destination else 32}"


def parse_routes(text: str, default: str) -> Iterator[RouteFact]:
    """Yield the routes of the main and the local table that `ip -N -j route show table all` lists.

    *default* is the range of a default route of the family listed.
    """
    for each in json.loads(text or "[]"):
        if int(each.get("table", _MAIN)) not in _TABLES:
            continue
        yield RouteFact(
            _range(each["dst"], default),
            each.get("dev", ""),
            each.get("gateway", ""),
            int(each.get("protocol", _BOOT)),
            _KINDS.get(int(each.get("type", 1)), "unicast"),
        )


def _ruleset(tables: Iterable[Table], unreadable: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects of *tables*, those of others with the elements of their sets and maps.

    Each table is listed separately, since nft may fail on one; the reason goes to *unreadable*. A
    listing without elements is fast for any number of services.
    """
    for table in tables:
        try:
            found = _objects(table, "-t")
            if not owned.is_our_table(table.name) and any(
                {"set", "map"} & each.keys() for each in found
            ):
                found = _objects(table)
            if not owned.is_our_table(table.name) and has_extensions(found):
                found = spelled_out(found, list_table(table, "-a"))
        except KernelRefused as refused:
            unreadable.append(str(refused))
            continue
        yield from found


def _objects(table: Table, *options: str) -> list[dict[str, Any]]:
    try:
        listed = json.loads(list_table(table, "-j", *options) or "{}")
    except ValueError as error:
        raise KernelRefused(f"nft prints no JSON: {error}") from None
    return [each for each in listed.get("nftables", ()) if "metainfo" not in each]


def _legacy_tables(directory: Path) -> Iterator[str]:
    for name in ("ip_tables_names", "ip6_tables_names"):
        try:
            yield from (directory / name).read_text().split()
        except OSError:
            continue


_LISTENING: Final = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; a datagram socket without a peer


def _listeners(directory: Path) -> Iterator[Listener]:
    for name in ("tcp", "tcp6", "udp", "udp6"):
        try:
            text = (directory / name).read_text()
        except OSError:
            continue
        yield from parse_sockets(text, "TCP" if name.startswith("tcp") else "UDP")


def parse_sockets(text: str, protocol: Literal["TCP", "UDP"]) -> Iterator[Listener]:
    """Yield the listening sockets of /proc/net/{tcp,tcp6,udp,udp6} (proc_pid_net(5))."""
    for line in text.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        address, _, port = local.partition(":")
        if state == _LISTENING[protocol.lower()]:
            yield Listener(protocol, _address(address), int(port, 16))


def _address(digits: str) -> str:
    """Return the address that the kernel prints as words of its own byte order."""
    words = bytes.fromhex(digits)
    if sys.byteorder == "little":
        words = b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4))
    return unpack(words)
