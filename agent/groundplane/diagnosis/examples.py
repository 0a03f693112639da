"""Example addresses from a site's ranges, for packets that test a node's rules. Pure.

Consequently, a rule for a part of a range is treated as a rule for the whole range.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from groundplane.diagnosis.facts import Facts
from groundplane.diagnosis.packet import KnownPacket
from groundplane.kernel.owned import OVERLAY
from groundplane.net.address import bridge_address, family_of, from_int, network
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase


class Examples(NamedTuple):
    """Example addresses of one family; those of a peer are "" if there is none."""

    family: Family
    ip: Literal["ip", "ip6"]
    uplink: str | None  # the interface with the node's address
    node: str
    bridge: str
    own: str  # a workload of this node
    neighbour: str  # another one
    workloads: str  # their range
    service: str
    peer: str
    peer_workload: str
    between: str | None  # the interface of packets to and from that workload
    masquerader: str  # the address that the peer masquerades such packets with


def sending(of: Examples) -> str:
    """Return the iptables match for packets that workloads send."""
    return f"-s {of.workloads}"


def receiving(of: Examples) -> str:
    """Return the iptables match for packets to workloads."""
    return f"-d {of.workloads}"


def request(of: Examples) -> KnownPacket:
    """Return a packet from a workload to its neighbour."""
    return KnownPacket(
        family=of.ip,
        protocol="tcp",
        source=of.own,
        destination=of.neighbour,
        port=8080,
        local=False,
    )


def uplink(addresses: Sequence[str], facts: Facts) -> str | None:
    """Return the interface with one of the node's *addresses*, or None."""
    return next((each.interface for each in facts.addresses if each.address in addresses), None)


def examples(base: NodeBase, facts: Facts) -> Iterator[Examples]:
    """Yield the examples of each family that is complete on the node."""
    for family in base.families:

        def of(texts: Sequence[str], family: Family = family) -> str:
            return next((text for text in texts if family_of(text) == family), "")

        subnet, workloads = of(base.subnets), of(base.workload_cidrs)
        node, bridge, service = (
            of(base.addresses),
            of(base.bridge_addresses),
            of(base.service_cidrs),
        )
        if not (subnet and workloads and node and bridge and service):
            continue
        link = uplink([node], facts)
        peers = [peer for peer in base.peers if of(peer.addresses) and of(peer.subnets)]
        # Prefer a peer behind a tunnel: packets to other peers take ordinary routes.
        peer = next((each for each in peers if each.tunnel), peers[0] if peers else None)
        masquerader = of(peer.addresses) if peer else ""
        if peer and peer.tunnel:
            masquerader = bridge_address(of(peer.subnets))
        yield Examples(
            family,
            "ip" if family == "IPv4" else "ip6",
            link,
            node,
            bridge,
            _address(subnet, 10),
            _address(subnet, 11),
            workloads,
            _address(service, 10),
            of(peer.addresses) if peer else "",
            _address(of(peer.subnets), 10) if peer else "",
            OVERLAY if peer and peer.tunnel else link,
            masquerader,
        )


def _address(cidr: str, offset: int) -> str:
    """Return the address at *offset* from the first of *cidr*, at most its last one."""
    found = network(cidr)
    return from_int(min(found.first + offset, found.last), family_of(cidr))
