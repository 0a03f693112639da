"""External addresses of services: each is in its range and belongs to one service.

An external address that belongs to a node, a resolver or a range of the cluster would take over
that traffic: a line of YAML could lock everyone out of a node.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from groundplane.check.ranges import host_fault, own_ranges, range_fault
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.external import external_ranges, fixed_load_balancer_ips
from groundplane.documents.families import FamilyError, families_of
from groundplane.documents.service import Service
from groundplane.errors import Fault
from groundplane.net import address
from groundplane.net.protocols import Family


def check_external(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in external and load-balancer addresses that documents fix."""
    listed = [(each, found) for each in catalog.services.values() if (found := _addresses(each))]
    if not listed:
        return
    site = _site(catalog)
    holders: dict[tuple[bytes, str, int], str] = {}
    for service, addresses in listed:
        key = key_of(service)
        families: list[Family] = []  # of load-balancer addresses
        for path, text in addresses:
            fault = host_fault(text) or _place(catalog, site, service, text)
            fault = fault or _second(path, families, text) or _holder(holders, service, text)
            if fault:
                yield catalog.fault(key, path, fault)


def _addresses(service: Service) -> list[tuple[str, str]]:
    """Return path and text of each external address that *service* fixes."""
    if service.external or service.headless:
        return []
    listed = [(f"spec.externalIPs[{i}]", text) for i, text in enumerate(service.spec.external_ips)]
    if service.ours_to_balance:
        listed += fixed_load_balancer_ips(service)
    return listed


@dataclass(frozen=True)
class _Site:
    """Addresses of the site: the owners of taken ones, and the ranges for external ones."""

    taken: Mapping[str, str]
    own: tuple[str, ...]
    allowed: tuple[str, ...]


def _site(catalog: Catalog) -> _Site:
    taken: dict[str, str] = {}
    listed = [(text, "the site's resolver") for text in catalog.cluster.spec.dns.forwarders]
    listed += [
        (text, f"the address of {key_of(node)}")
        for node in catalog.nodes.values()
        for text in node.spec.addresses
    ]
    for text, whose in listed:
        with suppress(ValueError):  # reported separately
            taken[address.canonical(text)] = whose
    return _Site(
        taken=taken,
        own=tuple(cidr for _, cidr in own_ranges(catalog)),
        allowed=tuple(
            cidr for _, cidr in external_ranges(catalog.cluster) if range_fault(cidr) is None
        ),
    )


def _place(catalog: Catalog, site: _Site, service: Service, text: str) -> str | None:
    """Return why *text* is not an external address of *service*, or None if it is one."""
    family = address.family_of(text)
    with suppress(FamilyError):  # reported separately
        if family not in families_of(service, catalog.cluster):
            return f"{text}: the service has no {family}"
    if whose := site.taken.get(address.canonical(text)):
        return f"{text} is {whose}"
    for cidr in site.own:
        if address.contains(cidr, text):
            return f"{text} lies in the range {cidr}"
    if not any(address.contains(cidr, text) for cidr in site.allowed):
        return f"{text} is in no range of the Cluster's externalIPCIDRs or loadBalancerPools"
    return None


def _second(path: str, families: list[Family], text: str) -> str | None:
    """Return an error if *text* is a load balancer's second address of its family, else None."""
    if path.startswith("spec.externalIPs"):
        return None
    family = address.family_of(text)
    if family in families:
        return f"a second {family} address; one per family"
    families.append(family)
    return None


def _holder(holders: dict[tuple[bytes, str, int], str], service: Service, text: str) -> str | None:
    """Return an error if a port of *service* at the address *text* is already taken, else None."""
    packed, key = address.pack(text), str(key_of(service))
    for port in service.spec.ports:
        place = (packed, port.protocol, port.port)
        holder = holders.get(place)
        if holder == key:
            return f"duplicate address {text}; remove one"
        if holder:
            return f"{text} with port {port.port}/{port.protocol} is taken by {holder}"
    holders |= {(packed, port.protocol, port.port): key for port in service.spec.ports}
    return None
