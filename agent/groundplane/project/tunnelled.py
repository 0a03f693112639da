"""Which addresses of services come to workloads in tunnels, by what the catalog says. Pure."""

from groundplane.model import compiled
from groundplane.project.state import LocalWorkload


def tunnelled(site: compiled.Site, workload: LocalWorkload) -> tuple[str, ...]:
    """Return the services' addresses that IPVS of *site* sends to *workload* in tunnels, in order.

    Whether it is ready or draining is of no matter: what is under way to it is answered.
    """
    if all(node.proxy_mode != "ipvs" for node in site.nodes):
        return ()
    found = [
        address
        for service in site.services
        if service.forwarding == "tunnel" and _answers(service, workload)
        for address in service.cluster_ips + service.external_ips + service.load_balancer_ips
    ]
    return tuple(sorted(set(found)))


def _answers(service: compiled.Service, workload: LocalWorkload) -> bool:
    rows = service.endpoints.rows()
    return any({row.ipv4, row.ipv6}.intersection(workload.addresses) for row in rows)
