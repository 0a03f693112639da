"""The state of a node as frozen values: read by `gather`, evaluated by `diagnose`."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from groundplane.net.protocols import Family

Severity = Literal["error", "warning", "info"]


class AddressFact(msgspec.Struct, frozen=True):
    """An address of an interface, and the length of its prefix."""

    interface: str
    address: str
    length: int


class RouteFact(msgspec.Struct, frozen=True):
    """A route; *destination* is a range, *protocol* its number (rtnetlink(7), RTPROT_)."""

    destination: str
    interface: str = ""
    gateway: str = ""
    protocol: int = 0
    kind: str = "unicast"


class PolicyRule(msgspec.Struct, frozen=True):
    """A policy rule (ip-rule(8)). It compares a packet's mark under *mask* with *mark*, if any.

    *table* is 0 if the rule does not look up a table but rejects or drops. *routes* are the ranges
    to which *table* has a route, as far as the rule allows them. *inverted*: the rule applies to
    packets that its selectors do not match. *limited*: it has selectors besides the mark.
    """

    family: Family
    priority: int
    table: int = 0
    mark: int | None = None
    mask: int = 0xFFFFFFFF
    inverted: bool = False
    limited: bool = False
    routes: tuple[str, ...] = ()


class Listener(msgspec.Struct, frozen=True):
    """A socket that listens on *address*; 0.0.0.0 and :: mean any."""

    protocol: Literal["TCP", "UDP"]
    address: str
    port: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The actual state of a node.

    *sysctls* are keyed by path below /proc/sys, without those that the kernel does not have.
    *interfaces* says which are up. *routes* are those of the main and the local table;
    *policy_rules* those of both families.
    *ruleset* contains the objects of the tables that nft can read (libnftables-json(5)), None if it
    can read none; *unreadable* says why others are missing. *legacy_tables* are those of
    iptables-legacy, whose rules nft does not show. *workloads* are those whose networks are here.
    """

    sysctls: Mapping[str, str] = {}
    interfaces: Mapping[str, bool] = {}
    addresses: tuple[AddressFact, ...] = ()
    routes: tuple[RouteFact, ...] = ()
    policy_rules: tuple[PolicyRule, ...] = ()
    listeners: tuple[Listener, ...] = ()
    ruleset: tuple[dict[str, Any], ...] | None = None
    unreadable: tuple[str, ...] = ()
    legacy_tables: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()

    def number(self, sysctl: str) -> int | None:
        """Return the value of *sysctl*, None where the kernel does not have it."""
        text = self.sysctls.get(sysctl, "")
        return int(text) if text.lstrip("-").isdigit() else None


class HostPort(NamedTuple):
    """A port of the node's own network that a service leads to."""

    protocol: str
    address: str
    port: int


class Exposed(msgspec.Struct, frozen=True):
    """The traffic that services require of a node, besides cluster addresses.

    *addresses* are external and load-balancer ones; *node_ports* are protocols (TCP, UDP, SCTP)
    and numbers; *host_ports* are those of endpoints on the node's own network; *direct* are the
    endpoints that IPVS sends to by direct routing.
    """

    addresses: tuple[str, ...] = ()
    node_ports: tuple[tuple[str, int], ...] = ()
    health_check_ports: tuple[int, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    direct: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """One problem that affects traffic.

    *message* says in one sentence what happens to traffic, *remedy* what to do; its commands are
    in backquotes, to be run as root.
    """

    severity: Severity
    subject: str
    message: str
    remedy: str
