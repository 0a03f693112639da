"""Which addresses of services come to an endpoint as they are, by what the catalog says. Pure."""

from collections.abc import Collection

from groundplane.net.proxy import Forwarding
from groundplane.site import compiled


def dsr_addresses(site: compiled.Site, way: Forwarding, own: Collection[str]) -> tuple[str, ...]:
    """Return the services' addresses that nodes of *site* send by *way* to *own* ones, in order.

    Whether the endpoint is ready or draining is of no matter: what is under way to it is answered.
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
