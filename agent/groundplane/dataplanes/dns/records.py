"""`render`: the part of a NodeState to DNS records. Pure.

Names and forms: Kubernetes DNS-Based Service Discovery, version 1.1.0.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from groundplane.dataplanes.dns.zones import node_zone, reverse_zone_of
from groundplane.net import dns_names
from groundplane.net.address import family_of
from groundplane.net.dns_names import has_port_name, reverse_name
from groundplane.project.state import NodeBase, NodeWorkloads, Part, VirtualService

TTL: Final = 5
_TYPES: Final = {"IPv4": "A", "IPv6": "AAAA"}
_EMPTY: Final = '""'


class Record(NamedTuple):
    """One record. *owner* is absolute, with its last dot; *rdata* is in presentation format."""

    zone: str
    owner: str
    type: str
    rdata: str


def render(base: NodeBase, part: Part) -> dict[Record, int]:
    """Return the records of *part*, each with its TTL in seconds."""
    match part:
        case VirtualService(external_name=target) if target:
            records = iter([Record(base.domain, _name(base, part), "CNAME", f"{target}.")])
        case VirtualService(cluster_ips=()):
            records = _headless(base, part)
        case VirtualService():
            records = _cluster(base, part)
        case NodeWorkloads():
            records = _workloads(base, part)
        case NodeBase():
            records = _site(part)
    return dict.fromkeys(records, TTL)


def _site(base: NodeBase) -> Iterator[Record]:
    yield Record(base.domain, dns_names.version_name(base.domain), "TXT", '"1.1.0"')
    for name in dns_names.parent_names(base.domain):
        yield Record(base.domain, name, "TXT", _EMPTY)
    zone = node_zone(base)
    if base.dnssec:
        # Otherwise the signed domain would prove that node names do not exist.
        yield Record(base.domain, f"{zone}.", "NS", "localhost.")
    for name, addresses in (
        (base.name, base.addresses),
        *((each.name, each.addresses) for each in base.peers),
    ):
        owner = dns_names.node_name(base.domain, name)
        for address in addresses:
            yield Record(zone, owner, _TYPES[family_of(address)], address)


def _workloads(base: NodeBase, part: NodeWorkloads) -> Iterator[Record]:
    for workload in part.workloads:
        for address in workload.addresses:
            owner = dns_names.pod_name(base.domain, workload.namespace, address)
            yield Record(base.domain, owner, _TYPES[family_of(address)], address)


def _cluster(base: NodeBase, service: VirtualService) -> Iterator[Record]:
    name = _name(base, service)
    for address in service.cluster_ips:
        yield Record(base.domain, name, _TYPES[family_of(address)], address)
        yield from _pointer(base, address, name)
    for port in service.ports:
        if has_port_name(port.name):
            owner = dns_names.port_name(port.name, port.protocol, name)
            yield Record(base.domain, owner, "SRV", f"0 100 {port.port} {name}")


def _headless(base: NodeBase, service: VirtualService) -> Iterator[Record]:
    name = _name(base, service)
    if not service.members:
        # The service has no name then, and its namespace's has to stay (RFC 8020).
        empty = dns_names.empty_name(base.domain, service.namespace, service.name)
        yield Record(base.domain, empty, "TXT", _EMPTY)
    owners = [
        dns_names.port_name(port.name, port.protocol, name) if has_port_name(port.name) else ""
        for port in service.ports
    ]
    for each in service.members:
        member = dns_names.member_name(each.label, name)
        type_ = _TYPES[family_of(each.address)]
        yield Record(base.domain, name, type_, each.address)
        yield Record(base.domain, member, type_, each.address)
        yield from _pointer(base, each.address, member)
        for owner, target in zip(owners, each.targets, strict=True):
            if owner and target:
                yield Record(base.domain, owner, "SRV", f"0 100 {target} {member}")


def _name(base: NodeBase, service: VirtualService) -> str:
    return dns_names.service_name(base.domain, service.namespace, service.name)


def _pointer(base: NodeBase, address: str, target: str) -> Iterator[Record]:
    """Yield the PTR record of *address*, if it lies in one of our reverse zones."""
    owner = reverse_name(address)
    if zone := reverse_zone_of(base, owner):
        yield Record(zone, owner, "PTR", target)
