"""What one node must do, as frozen values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from groundplane.model.service import Family, Protocol

BRIDGE: Final = "groundplane0"  # of every node's workloads


class Peer(msgspec.Struct, frozen=True):
    """Another node: its addresses, and the workload subnets behind it."""

    name: str
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]


class LocalWorkload(msgspec.Struct, frozen=True):
    """A workload that this node connects by a veth pair *interface* on its bridge."""

    namespace: str
    name: str
    interface: str
    addresses: tuple[str, ...]

    @property
    def instance(self) -> str:
        """The name of its unit's instance and of its network namespace."""
        return f"{self.namespace}-{self.name}"


class NodeBase(msgspec.Struct, frozen=True):
    """Everything about the node but its services. Per-family tuples have the primary one first."""

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
    slot_capacity: int  # room for endpoints in the kernel's maps, see dataplanes/nftables


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An endpoint as a headless service's names show it; *label* is its hostname or dashed address."""

    label: str
    address: str
    targets: tuple[int, ...]


class ServicePort(msgspec.Struct, frozen=True, gc=False):
    """One port of a service.

    *pool* is its number in the kernel's maps. *ipv4* and *ipv6* have one packed target for each
    endpoint that takes new connections: address and port in network order, then two zero bytes,
    which is the form that the kernel's maps hold.
    """

    name: str
    protocol: Protocol
    port: int
    pool: int
    ipv4: tuple[bytes, ...] = ()
    ipv6: tuple[bytes, ...] = ()

    def targets(self, family: Family) -> tuple[bytes, ...]:
        return self.ipv4 if family == "IPv4" else self.ipv6


class VirtualService(msgspec.Struct, frozen=True, gc=False):
    """A service on this node; *members* are kept for headless services only, for their names."""

    namespace: str
    name: str
    cluster_ips: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    members: tuple[Member, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


Part = NodeBase | VirtualService


@dataclass(frozen=True)
class NodeState:
    """The whole of it: one base, and one part a service."""

    base: NodeBase
    services: Mapping[tuple[str, str], VirtualService]

    @property
    def parts(self) -> Iterator[Part]:
        """Every part, the base first."""
        yield self.base
        yield from self.services.values()
