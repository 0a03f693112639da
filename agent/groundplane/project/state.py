"""The desired state of one node, as frozen values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple

import msgspec
from immutables import Map

from groundplane.net.mtu import DEFAULT_MTU
from groundplane.net.protocols import Family, Protocol
from groundplane.net.proxy import DEFAULT_MODE, Forwarding
from groundplane.site.blocks import Block, Key
from groundplane.site.compiled import Ipvs, Overlay, Sizes, StubZone, Workload
from groundplane.site.snapshot import workloads_in


class NodeKey(NamedTuple):
    """The key of a node's workloads."""

    node: str


PartKey = Key | NodeKey  # of every part but the base


class Peer(msgspec.Struct, frozen=True):
    """Another node: its addresses, and the workload subnets behind it.

    *tunnel* is the one of its addresses that the overlay sends to, "" without an overlay. If it is
    also not *on_link*, the site's own routers need a route to it.
    """

    name: str
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    tunnel: str = ""
    public_key: str = ""
    on_link: bool = True


class LocalWorkload(msgspec.Struct, frozen=True):
    """A workload that this node connects by a veth pair *interface* on its bridge.

    *mac* is the hardware address of the workload's end, the only one that it may send from.
    """

    namespace: str
    name: str
    interface: str
    mac: str
    addresses: tuple[str, ...]

    @property
    def instance(self) -> str:
        """The name of its unit's instance and of its network namespace."""
        return f"{self.namespace}-{self.name}"


class NodeBase(msgspec.Struct, frozen=True):
    """All of the node's state but its services. Per-family tuples have the primary family first."""

    name: str
    domain: str
    families: tuple[Family, ...]
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    bridge_addresses: tuple[str, ...]
    bridge_mac: str
    service_cidrs: tuple[str, ...]
    workload_cidrs: tuple[str, ...]
    non_masquerade_cidrs: tuple[str, ...]
    egress_masquerade: bool
    forwarders: tuple[str, ...]
    peers: tuple[Peer, ...]
    workloads: tuple[LocalWorkload, ...]
    capacity: Sizes  # of the kernel's maps, with room to grow
    affinity_timeouts: tuple[int, ...] = ()
    external_cidrs: tuple[str, ...] = ()
    cluster_ips_from_outside: bool = True
    node_ports: tuple[int, int] = (30000, 32767)
    stub_zones: tuple[StubZone, ...] = ()
    tls_server_name: str = ""
    dnssec: bool = False
    overlay: Overlay | None = None
    mtu: int = DEFAULT_MTU  # of the bridge: the uplink's minus the overlay's overhead
    proxy_mode: str = DEFAULT_MODE
    ipvs: Ipvs = Ipvs()
    draining: bool = False


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An endpoint in a headless service's names; *label* is its hostname or dashed address."""

    label: str
    address: str
    targets: tuple[int, ...]


class Targets(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The targets of one port of a service, in one family.

    A target is packed in *width* bytes: its address and its port, in network order. *cluster* are
    the targets of new connections, *local* those under policy Local; each is repeated according to
    its weight, or once for each slot of the table of a service with consistent hashing. *serving*
    are the targets whose established flows continue: for UDP and SCTP, if they differ from
    *cluster*. *numbers* has, for a service with session affinity, the number of each target in the
    catalog.

    The fields have the targets joined: a site has 100,000, and an object for each takes eight times
    the memory.
    """

    width: int = 0
    joined_cluster: bytes = b""
    joined_local: bytes = b""
    joined_serving: bytes | None = None
    numbers: dict[bytes, int] | None = None

    @classmethod
    def of(
        cls,
        cluster: Sequence[bytes],
        local: Sequence[bytes] = (),
        serving: Sequence[bytes] | None = None,
        numbers: dict[bytes, int] | None = None,
    ) -> "Targets":
        """Return the targets in these sequences."""
        width = len(next(chain(cluster, local, serving or ()), b""))
        joined = None if serving is None else b"".join(serving)
        return cls(width, b"".join(cluster), b"".join(local), joined, numbers)

    @property
    def cluster(self) -> tuple[bytes, ...]:
        return split_targets(self.joined_cluster, self.width)

    @property
    def local(self) -> tuple[bytes, ...]:
        return split_targets(self.joined_local, self.width)

    @property
    def serving(self) -> tuple[bytes, ...] | None:
        joined = self.joined_serving
        return None if joined is None else split_targets(joined, self.width)

    @property
    def slots(self) -> int:
        """The number of slots of *cluster*."""
        return len(self.joined_cluster) // self.width if self.width else 0

    @property
    def local_slots(self) -> int:
        """The number of slots of *local*."""
        return len(self.joined_local) // self.width if self.width else 0


def split_targets(joined: bytes, width: int) -> tuple[bytes, ...]:
    """Return the packed values of *width* bytes in *joined*."""
    return _values(width, len(joined) // width).unpack(joined) if joined else ()


@lru_cache(maxsize=1024)
def _values(width: int, count: int) -> Struct:
    """Return a Struct that splits *count* values; several times as fast as slicing."""
    return Struct(f"{width}s" * count)


NONE: Final = Targets()


class VirtualPort(msgspec.Struct, frozen=True, gc=False):
    """One port of a service; *pool* is its number in the kernel's maps, *node_port* 0 for none."""

    name: str
    protocol: Protocol
    port: int
    pool: int
    ipv4: Targets = NONE
    ipv6: Targets = NONE
    node_port: int = 0

    def targets(self, family: Family) -> Targets:
        return self.ipv4 if family == "IPv4" else self.ipv6


class VirtualService(msgspec.Struct, frozen=True, gc=False):
    """A service on this node; fields as in `site.compiled.Service`.

    *members* are kept for headless services only, for their names; *local_endpoints* has, by
    family, the number that a health check node port reports. *dsr_workloads* are the addresses of
    this node's workloads that answer from the service's addresses, if *forwarding* does not
    translate those.
    """

    namespace: str
    name: str
    cluster_ips: tuple[str, ...]
    ports: tuple[VirtualPort, ...]
    members: tuple[Member, ...] = ()
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    consistent_hash: bool = False
    internal_local: bool = False
    external_local: bool = False
    health_check_port: int = 0
    local_endpoints: Mapping[Family, int] = {}
    external_name: str = ""
    shared: tuple[str, ...] = ()
    scheduler: str = ""
    forwarding: Forwarding = "masquerading"
    dsr_workloads: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def lacks_local_endpoints(self) -> bool:
        """Whether policy Local leaves a port without endpoints here, but not everywhere."""
        ways = (way for port in self.ports for way in (port.ipv4, port.ipv6))
        return (self.internal_local or self.external_local) and any(
            way.joined_cluster and not way.joined_local for way in ways
        )


class NodeWorkloads(msgspec.Struct, frozen=True, gc=False):
    """One node's workloads with their own addresses: a block of the snapshot, still encoded.

    Only their names in DNS need them, and a site has 100,000.
    """

    block: Block

    @property
    def node(self) -> str:
        return self.block.first.name

    @property
    def key(self) -> NodeKey:
        return NodeKey(self.node)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return workloads_in(self.block)


Part = NodeBase | VirtualService | NodeWorkloads


def subject_of(part: Part) -> str:
    """Return the readable name of *part*: kind and name of its document."""
    match part:
        case VirtualService():
            return f"Service/{part.namespace}/{part.name}"
        case NodeWorkloads():
            return f"Workloads of Node/{part.node}"
        case NodeBase():
            return f"Node/{part.name}"


@dataclass(frozen=True)
class NodeState:
    """State of a node: one base, one part per service, and one per node that has workloads."""

    base: NodeBase
    services: Map[Key, VirtualService]
    workloads: Map[NodeKey, NodeWorkloads] = field(default_factory=Map)

    @classmethod
    def of(
        cls,
        base: NodeBase,
        services: Iterable[VirtualService],
        workloads: Iterable[NodeWorkloads] = (),
    ) -> "NodeState":
        return cls(
            base,
            Map((each.key, each) for each in services),
            Map((each.key, each) for each in workloads),
        )

    @property
    def parts(self) -> Iterator[Part]:
        """Every part, the base first."""
        yield self.base
        yield from self.services.values()
        yield from self.workloads.values()

    @property
    def keys(self) -> set[PartKey]:
        """The keys of every part but the base."""
        return {*self.services, *self.workloads}

    def part(self, key: PartKey) -> Part | None:
        """Return the part with *key*, other than the base; None if there is none."""
        if isinstance(key, NodeKey):
            return self.workloads.get(key)
        return self.services.get(key)
