"""What there is on a node, as frozen values: what `gather` reads and `diagnose` judges."""

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

    *table* is 0 where it looks up none: it refuses or drops then. *routes* are the ranges to which
    *table* has a route, as far as the rule lets it be used. *inverted*: it takes what its selectors
    do not match. *limited*: it has other selectors than the mark.
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
    """A socket that takes connections or datagrams at *address*, 0.0.0.0 and :: for any."""

    protocol: Literal["TCP", "UDP"]
    address: str
    port: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The node as it is.

    *sysctls* are by their path below /proc/sys; one that the kernel does not have is not in it.
    *interfaces* says which are up. *routes* are those of the main table and the local ones;
    *policy_rules* those of both families.
    *ruleset* has the objects of the tables that nft can read (libnftables-json(5)), None where it
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
    """What the services of a node ask of it beyond cluster addresses.

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
    """One thing that is in the way of traffic.

    *message* is a sentence on what happens to traffic, *remedy* one on what to do; its commands
    stand between backquotes, to be run as root.
    """

    severity: Severity
    subject: str
    message: str
    remedy: str
