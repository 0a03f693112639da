"""Simulates what happens to the first packet of a connection on a node. Pure.

This defines the meaning of services from a NodeState, not from a ruleset: a proxy dataplane is
correct if real packets have the outcome computed here. User-facing explanations use the same code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from groundplane.net.address import address_and_port, canonical, contains, family_of, pack
from groundplane.net.protocols import Family, Protocol
from groundplane.project.sources import allowed_sources
from groundplane.project.state import NodeBase, NodeState, VirtualPort, VirtualService
from groundplane.simulate.jhash import slot_of
from groundplane.site.map_limits import HASH_SEED, HASH_SLOTS

AddressKind = Literal["cluster IP", "external IP", "load balancer", "node port"]


class Packet(NamedTuple):
    """The first packet of a connection, as it reaches the node. *sent_here*: the node sent it."""

    protocol: Protocol
    source: str
    destination: str
    port: int
    sent_here: bool = False


class Target(NamedTuple):
    address: str
    port: int


class ServiceFrontend(NamedTuple):
    """A port of a service, and the kind of the address that the packet was sent to."""

    service: VirtualService
    port: VirtualPort
    address_kind: AddressKind


@dataclass(frozen=True)
class Outcome:
    """The outcome of a packet.

    *targets* maps each endpoint that may receive it to whether its source becomes the node's;
    *frontend* is the service port that it was sent to, None if there is none; *reason* explains
    the verdict in terms of the service's fields.
    """

    verdict: Literal["translated", "refused", "dropped", "untouched"]
    reason: str
    targets: Mapping[Target, bool] = field(default_factory=dict)
    frontend: ServiceFrontend | None = None


class Simulator:
    """The node of *state*; `run` computes the outcome of any number of packets."""

    def __init__(self, state: NodeState) -> None:
        self._base = state.base
        self._frontends: dict[tuple[str, str, int], ServiceFrontend] = {}
        self._addresses: set[str] = set()
        for service in state.services.values():
            for address, way in _addresses(service):
                self._addresses.add(address)
                for port in service.ports:
                    self._frontends[address, port.protocol, port.port] = ServiceFrontend(
                        service, port, way
                    )
            for address in state.base.addresses:
                for port in service.ports:
                    if port.node_port and family_of(address) in _families(service):
                        where = (canonical(address), port.protocol, port.node_port)
                        self._frontends[where] = ServiceFrontend(service, port, "node port")

    def run(self, packet: Packet) -> Outcome:
        """Return the outcome of *packet*, ignoring existing session affinity."""
        destination = canonical(packet.destination)
        frontend = self._frontends.get((destination, packet.protocol, packet.port))
        if frontend is not None:
            return self._enter(packet, frontend)
        if destination in self._addresses:
            return Outcome("refused", f"{destination} is a service's, but not with this port")
        if any(contains(cidr, destination) for cidr in self._base.service_cidrs):
            return Outcome("dropped", f"no service has the address {destination}")
        return Outcome("untouched", f"{destination} is not an address of a service")

    def _enter(self, packet: Packet, frontend: ServiceFrontend) -> Outcome:
        service, inside = frontend.service, self._is_workload(packet.source)
        if frontend.address_kind == "cluster IP":
            if not (inside or packet.sent_here or self._base.cluster_ips_from_outside):
                return Outcome("dropped", "clusterIPsFromOutside is drop", frontend=frontend)
            return self._send(packet, frontend, local=service.internal_local, masquerade=not inside)
        if frontend.address_kind == "load balancer" and not self._is_allowed(
            service, packet.source
        ):
            reason = f"{packet.source} is not in loadBalancerSourceRanges"
            return Outcome("dropped", reason, frontend=frontend)
        if not service.external_local:
            return self._send(packet, frontend, local=False, masquerade=True)
        if inside or packet.sent_here:
            # Treated as if it left the node and came back, although it need not.
            own = any(contains(cidr, packet.source) for cidr in self._base.subnets)
            return self._send(packet, frontend, local=False, masquerade=not own)
        return self._send(packet, frontend, local=True, masquerade=False)

    def _send(
        self, packet: Packet, frontend: ServiceFrontend, *, local: bool, masquerade: bool
    ) -> Outcome:
        family = family_of(packet.destination)
        targets = frontend.port.targets(family)
        slots = targets.local if local else targets.cluster
        if not targets.cluster:
            return Outcome("refused", "it has no endpoint", frontend=frontend)
        if not slots:
            reason = "its policy is Local, and no endpoint is on this node"
            return Outcome("dropped", reason, frontend=frontend)
        reason = "any of its endpoints"
        if frontend.service.consistent_hash:
            slots = (slots[slot_of(pack(packet.source), HASH_SEED, HASH_SLOTS)],)
            reason = "the endpoint that the client's address hashes to"
        found = {
            target: self._leaves_masqueraded(packet, target, decided=masquerade)
            for target in dict.fromkeys(map(_target, slots))
        }
        return Outcome("translated", reason, found, frontend)

    def _is_allowed(self, service: VirtualService, source: str) -> bool:
        """Return whether loadBalancerSourceRanges allows *source*.

        Without ranges, every source is allowed. If there are ranges, but none of the family of
        *source*, it is not allowed.
        """
        if not service.source_ranges:
            return True
        ranges = allowed_sources(self._base, service, family_of(source))
        return any(contains(cidr, source) for cidr in ranges)

    def _is_workload(self, source: str) -> bool:
        return any(contains(cidr, source) for cidr in self._base.workload_cidrs)

    def _leaves_masqueraded(self, packet: Packet, target: Target, *, decided: bool) -> bool:
        """Return whether *target* sees the node as the client.

        It does if the frontend *decided* so, if a workload of this node reaches itself, and if a
        workload's packet goes to a node through the overlay, or outside if egress is masqueraded.
        It never does if the target is this node: the packet does not leave it.
        """
        base, source = self._base, canonical(packet.source)
        if target.address in map(canonical, base.addresses):
            return False
        own = {canonical(text) for each in base.workloads for text in each.addresses}
        if decided or (source == target.address and source in own):
            return True
        if not self._is_workload(source):
            return False
        return _has_tunnel(base, target) or (base.egress_masquerade and _is_outside(base, target))


def _has_tunnel(base: NodeBase, target: Target) -> bool:
    """Return whether *target* is a node that is reached through the overlay."""
    nodes = (text for peer in base.peers if peer.tunnel for text in peer.addresses)
    return target.address in map(canonical, nodes)


def _is_outside(base: NodeBase, target: Target) -> bool:
    ranges = (*base.workload_cidrs, *base.service_cidrs, *base.non_masquerade_cidrs)
    nodes = (*base.addresses, *(text for peer in base.peers for text in peer.addresses))
    if target.address in map(canonical, nodes):
        return False
    return not any(contains(cidr, target.address) for cidr in ranges)


def _addresses(service: VirtualService) -> Iterator[tuple[str, AddressKind]]:
    for address in service.cluster_ips:
        yield canonical(address), "cluster IP"
    for address in service.external_ips:
        yield canonical(address), "external IP"
    for address in service.load_balancer_ips:
        yield canonical(address), "load balancer"


def _families(service: VirtualService) -> set[Family]:
    return {family_of(address) for address in service.cluster_ips}


def _target(packed: bytes) -> Target:
    return Target(*address_and_port(packed))


__all__: Final = ["Outcome", "Packet", "ServiceFrontend", "Simulator", "Target"]
