"""Service addresses whose packets reach an endpoint untranslated, by the catalog. Pure."""

from collections.abc import Collection

from groundplane.net.proxy import Forwarding
from groundplane.site import compiled


def dsr_addresses(site: compiled.Site, way: Forwarding, own: Collection[str]) -> tuple[str, ...]:
    """Return the service addresses that nodes of *site* forward by *way* to *own* ones, in order.

    Draining and unready endpoints count: they answer packets already on their way.
    """
    found = {
        address
        for service in site.services
        if service.forwarding == way and _has_endpoint(service, own)
        for address in service.cluster_ips + service.external_ips + service.load_balancer_ips
    }
    return tuple(sorted(found))


def _has_endpoint(service: compiled.Service, own: Collection[str]) -> bool:
    return any({row.ipv4, row.ipv6}.intersection(own) for row in service.endpoints.rows())
