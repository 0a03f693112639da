"""The compiled site: the documents with addresses allocated and selectors matched.

A node's agent works from it; it is stored as lines of JSON (`snapshot`). The endpoints of a service
are columns, not rows: 100,000 of them are decoded and projected in a twentieth of a second, while
parsing their YAML takes many seconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec

from groundplane.net.address import pack, unpack
from groundplane.net.mtu import DEFAULT_MTU
from groundplane.net.protocols import Family, Protocol
from groundplane.net.proxy import DEFAULT_MODE, Forwarding

FORMAT: Final = 7
READABLE: Final = frozenset({6, FORMAT})  # 6 has no places
T = TypeVar("T")


class Node(msgspec.Struct, frozen=True):
    """A node: its addresses and workload subnets, one of each family, primary family first.

    *mtu* is that of its uplink; *public_key* is WireGuard's. Load balancers exclude a *draining*
    node.
    """

    name: str
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    zone: str = ""
    segment: str = ""
    mtu: int = DEFAULT_MTU
    public_key: str = ""
    proxy_mode: str = DEFAULT_MODE
    draining: bool = False


class Workload(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A workload with its own addresses, which its node connects."""

    namespace: str
    name: str
    node: str
    addresses: tuple[str, ...]


ProbeKind = Literal["tcp", "http", "https", "grpc", "exec"]


class Probe(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A readiness check of a workload: its kind, target and timing; times are in seconds.

    *address* and *port* are what to connect to. *host* is the Host header and *headers* the others
    that the document names. *instance* is the network namespace that *command* runs in, "" for the
    node's own; exec probes use only *command* and *instance*, and no network fields.
    """

    namespace: str
    name: str
    node: str
    kind: ProbeKind
    initial_delay: int
    period: int
    timeout: int
    success_threshold: int
    failure_threshold: int
    address: str = ""
    port: int = 0
    path: str = ""
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    service: str = ""
    command: tuple[str, ...] = ()
    instance: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def target(self) -> tuple[object, ...]:
        """The target of the check: two probes with the same target differ only in timing."""
        return (
            self.kind, self.address, self.port, self.path, self.host, self.headers, self.service,
            self.command, self.instance,
        )  # fmt: skip


class Endpoint(NamedTuple):
    """One endpoint of a service, regardless of probes.

    *ready*, *serving* and *terminating* are from the documents; *workload* is "" for an endpoint of
    an EndpointSlice. *targets* has the port for each port of the service, 0 for none.
    *for_zones* and *for_nodes* are its hints: where it is preferred.
    """

    workload: str
    node: str
    hostname: str
    ipv4: str
    ipv6: str
    targets: tuple[int, ...]
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    weight: int = 1
    for_zones: tuple[str, ...] = ()
    for_nodes: tuple[str, ...] = ()

    def address(self, family: Family) -> str:
        return self.ipv4 if family == "IPv4" else self.ipv6


_NO_IPV4, _NO_IPV6 = bytes(4), bytes(16)


class Endpoints(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The endpoints of a service, column by column; an empty column is omitted.

    *ipv4* and *ipv6* are the addresses in hexadecimal, 8 or 32 digits each, zeros for none.
    *targets* has one entry for each port of the service: the target port of all endpoints, or a
    list with that of each. *conditions* has a letter for each endpoint (`_LETTERS`).
    """

    count: int = 0
    workloads: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    hostnames: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    targets: tuple[int | tuple[int, ...], ...] = ()
    conditions: str = ""
    weights: tuple[int, ...] = ()
    for_zones: tuple[tuple[str, ...], ...] = ()
    for_nodes: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return self.count

    def is_ready(self, index: int) -> bool:
        """Return whether the endpoint at *index* is ready, even if terminating (as kube-proxy)."""
        return not self.conditions or self.conditions[index] in _READY

    def is_draining(self, index: int) -> bool:
        """Return whether the endpoint at *index* serves and terminates, and is not ready."""
        return bool(self.conditions) and self.conditions[index] in _DRAINING

    def rows(self) -> list[Endpoint]:
        """Return the endpoints one by one."""
        places = zip(
            _filled(self.workloads, "", self.count),
            _filled(self.nodes, "", self.count),
            _filled(self.hostnames, "", self.count),
            _addresses(self.ipv4, 4, self.count),
            _addresses(self.ipv6, 16, self.count),
            self._targets(),
            strict=True,
        )
        columns = zip(
            places,
            self.conditions or "a" * self.count,
            _filled(self.weights, 1, self.count),
            _filled(self.for_zones, (), self.count),
            _filled(self.for_nodes, (), self.count),
            strict=True,
        )
        return [
            Endpoint._make((*first, *_CONDITIONS[letter], weight, zones, nodes))
            for first, letter, weight, zones, nodes in columns
        ]

    def _targets(self) -> Iterable[tuple[int, ...]]:
        if not self.targets:
            return [()] * self.count
        each = (
            (target,) * self.count if isinstance(target, int) else target for target in self.targets
        )
        return zip(*each, strict=True)


_CONDITIONS: Final = {  # ready, serving, terminating
    letter: (ready, serving, terminating)
    for letter, (ready, serving, terminating) in zip(
        "abcdefgh",
        [(r, s, t) for t in (False, True) for r in (True, False) for s in (True, False)],
        strict=True,
    )
}
_READY: Final = {letter for letter, (ready, _, _) in _CONDITIONS.items() if ready}
_DRAINING: Final = {letter for letter, which in _CONDITIONS.items() if which == (False, True, True)}
_LETTERS: Final = {conditions: letter for letter, conditions in _CONDITIONS.items()}


def _filled(column: Sequence[T], value: T, count: int) -> Sequence[T]:
    return column or [value] * count


def _addresses(column: str, width: int, count: int) -> Iterator[str]:
    packed = bytes.fromhex(column) or bytes(width * count)
    none = bytes(width)
    for start in range(0, len(packed), width):
        each = packed[start : start + width]
        yield "" if each == none else unpack(each)


def columns(rows: Sequence[Endpoint]) -> Endpoints:
    """Return *rows* as columns."""
    if not rows:
        return Endpoints()
    (
        workloads, nodes, hostnames, ipv4, ipv6, targets,
        ready, serving, terminating, weights, for_zones, for_nodes,
    ) = zip(*rows, strict=True)  # fmt: skip
    conditions = ""
    if not all(ready) or not all(serving) or any(terminating):
        each = zip(ready, serving, terminating, strict=True)
        conditions = "".join([_LETTERS[condition] for condition in each])
    return Endpoints(
        count=len(rows),
        workloads=_column(workloads, ""),
        nodes=_column(nodes, ""),
        hostnames=_column(hostnames, ""),
        ipv4=_hex(ipv4, _NO_IPV4),
        ipv6=_hex(ipv6, _NO_IPV6),
        targets=tuple(
            [
                column[0] if column.count(column[0]) == len(column) else column
                for column in zip(*targets, strict=True)
            ]
        ),
        conditions=conditions,
        weights=_column(weights, 1),
        for_zones=_column(for_zones, ()),
        for_nodes=_column(for_nodes, ()),
    )


def _column(values: tuple[T, ...], default: T) -> tuple[T, ...]:
    return () if values.count(default) == len(values) else values


def _hex(texts: Sequence[str], none: bytes) -> str:
    return b"".join(pack(text) if text else none for text in texts).hex() if any(texts) else ""


class Port(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One port of a service; *pool* is its number in the kernel's maps, the same on every node.

    *node_port* is the port of every node that leads to it, 0 for none.
    """

    name: str
    protocol: Protocol
    port: int
    pool: int = 0
    node_port: int = 0


class Service(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A service with its addresses and all its endpoints.

    Per-family tuples have the primary family first. *source_ranges* limit who reaches
    *load_balancer_ips*; none: no limit. *affinity_seconds* is 0 without affinity. *shared* are the
    external and load-balancer addresses that an earlier service also has, with other ports.
    """

    namespace: str
    name: str
    families: tuple[Family, ...] = ()  # none: an ExternalName
    cluster_ips: tuple[str, ...] = ()  # none: headless
    ports: tuple[Port, ...] = ()
    endpoints: Endpoints = Endpoints()
    publish_not_ready: bool = False
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    consistent_hash: bool = False
    internal_local: bool = False
    external_local: bool = False
    health_check_port: int = 0
    external_name: str = ""
    shared: tuple[str, ...] = ()
    scheduler: str = ""  # of IPVS, if not the site's
    forwarding: Forwarding = "masquerading"  # by IPVS
    keep_last_endpoints: bool = False  # all of them, if all probes fail

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


class Sizes(msgspec.Struct, frozen=True):
    """The maximum number of elements of the services in the kernel's maps (dataplanes/nftables)."""

    services: int = 0  # ports of cluster IPs
    addresses: int = 0
    external: int = 0  # addresses . ports from outside, node ports
    slots: int = 0
    sticky: int = 0  # slots of services with session affinity
    ranges: int = 0  # of sources


class ChangeLimits(msgspec.Struct, frozen=True):
    """The share of a site that one change may remove or renumber, in percent (`change_limits`)."""

    removed_services: int = 50
    renumbered_services: int = 0
    removed_endpoints: int = 50
    emptied_services: int = 50


class StubZone(msgspec.Struct, frozen=True):
    """A domain whose names are resolved by its own servers."""

    name: str
    servers: tuple[str, ...]


class Overlay(msgspec.Struct, frozen=True):
    """How packets between workloads cross from one segment to another."""

    mode: Literal["vxlan", "wireguard"]
    vni: int
    port: int


class Ipvs(msgspec.Struct, frozen=True):
    """How nodes with proxy mode ipvs balance, see `documents.site.Ipvs`."""

    scheduler: str = "rr"
    drain_seconds: int = 600


class FilePlaces(msgspec.Struct, frozen=True):
    """Where the objects of a file are: *path* is its path below the source.

    *objects* has, by KIND/NAMESPACE (KIND without a namespace), the name of each, a space and the
    line; for an item of a List that has no line of its own, the line of the List, a space and its
    path in it.
    """

    path: str
    objects: dict[str, list[str]]


class Site(msgspec.Struct, frozen=True):
    """The whole site. The same documents and lock give the same value on every node."""

    format: int
    domain: str
    service_cidrs: tuple[str, ...]
    workload_cidrs: tuple[str, ...]
    non_masquerade_cidrs: tuple[str, ...]
    egress_masquerade: bool
    forwarders: tuple[str, ...]
    nodes: tuple[Node, ...]
    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    external_cidrs: tuple[str, ...] = ()  # that external and load-balancer addresses lie in
    cluster_ips_from_outside: bool = True
    node_ports: tuple[int, int] = (30000, 32767)  # the first and the last
    affinity_timeouts: tuple[int, ...] = ()  # all timeouts of services, ascending
    sizes: Sizes = Sizes()
    change_limits: ChangeLimits = ChangeLimits()
    probes: tuple[Probe, ...] = ()  # one for each workload that has one and is not off
    stub_zones: tuple[StubZone, ...] = ()
    tls_server_name: str = ""  # of the forwarders; "" without TLS
    dnssec: bool = False
    overlay: Overlay | None = None  # None if no packet needs one
    ipvs: Ipvs = Ipvs()
    places: tuple[FilePlaces, ...] = ()  # a block for each; nothing is made of them
