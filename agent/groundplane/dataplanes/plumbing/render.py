"""`render`: the part of a NodeState to elements of the plumbing's sets. Pure."""

from groundplane.dataplanes.nftables.maps import Elements
from groundplane.dataplanes.plumbing.maps import MAPS
from groundplane.net.address import family_of, pack
from groundplane.project.state import LocalWorkload, NodeBase, Part, VirtualService

_PAD = bytes(2)


def render(base: NodeBase, part: Part) -> Elements:
    """Return the elements of *part*: element to b""."""
    if isinstance(part, VirtualService):
        return _answering(base, part) if part.dsr_workloads else {}
    return _base(part) if isinstance(part, NodeBase) else {}


def _base(base: NodeBase) -> Elements:
    elements: Elements = {}
    for text in (*base.addresses, *(text for peer in base.peers for text in peer.addresses)):
        elements[MAPS[family_of(text)].nodes.prefix + pack(text)] = b""
    for text in (text for peer in base.peers if peer.tunnel for text in peer.addresses):
        elements[MAPS[family_of(text)].tunnel_nodes.prefix + pack(text)] = b""
    for cidr in (*base.subnets, *(cidr for peer in base.peers for cidr in peer.subnets)):
        prefix = MAPS[family_of(cidr)].subnets.prefix
        elements[prefix + pack(cidr.partition("/")[0])] = b""
    for workload in base.workloads:
        for text in workload.addresses:
            maps, address = MAPS[family_of(text)], pack(text)
            elements[maps.hairpin.prefix + address + address] = b""
            elements[maps.guard.prefix + _port_of(workload) + address] = b""
            elements[maps.announced.prefix + _port_of(workload) + address] = b""
    return elements


def _answering(base: NodeBase, service: VirtualService) -> Elements:
    """Allow this node's workloads that have the service's addresses to answer from them."""
    addresses = service.cluster_ips + service.external_ips + service.load_balancer_ips
    elements: Elements = {}
    for workload in base.workloads:
        for family in {
            family_of(each) for each in workload.addresses if each in service.dsr_workloads
        }:
            prefix = MAPS[family].guard.prefix + _port_of(workload)
            own = (each for each in addresses if family_of(each) == family)
            elements.update((prefix + pack(each), b"") for each in own)
    return elements


def _port_of(workload: LocalWorkload) -> bytes:
    """Return what identifies a frame of *workload*: its port and its hardware address."""
    mac = bytes.fromhex(workload.mac.replace(":", ""))
    return workload.interface.encode().ljust(16, b"\0") + mac + _PAD
