"""Services whose packets IPVS forwards without NAT: each unsupported combination is an error.

docs/decisions/0025-ipvs-forwarding.md gives the reason for each error.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.external import fixed_load_balancer_ips, source_ranges
from groundplane.documents.path import join
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import FORWARDING, EndpointSlice, Service, ServicePort
from groundplane.documents.site import Workload
from groundplane.errors import Fault
from groundplane.net.address import canonical, contains

_PATH = join("metadata.annotations", FORWARDING)


def check_forwarding(
    catalog: Catalog,
    index: LabelIndex,
    slices: Mapping[tuple[str, str], Sequence[EndpointSlice]],
) -> Iterator[Fault]:
    """Yield an error for each setting that `groundplane/ipvs-forwarding` does not support."""
    forwarded = [
        each
        for each in catalog.services.values()
        if not (each.forwarding == "masquerading" or each.external or each.headless)
    ]
    if not forwarded:
        return
    nodes, owners = _nodes(catalog), _owners(catalog)
    for service in forwarded:
        yield from _service(catalog, service, index, slices, nodes, owners)


def _service(
    catalog: Catalog,
    service: Service,
    index: LabelIndex,
    slices: Mapping[tuple[str, str], Sequence[EndpointSlice]],
    nodes: Mapping[str, str],
    owners: Mapping[str, Sequence[Service]],
) -> Iterator[Fault]:
    key, way = key_of(service), service.forwarding
    namespace = service.metadata.namespace
    for path, message in _traffic(service):
        yield catalog.fault(key, path, f"{FORWARDING} {way}: {message}")
    for path, message in _targets(service):
        yield catalog.fault(key, path, f"{FORWARDING} {way}: {message}")
    selected = index.matching(namespace, service.spec.selector)
    for message in (
        *(m for each in selected for m in _workload(service, each)),
        *_sharing(service, owners),
    ):
        yield catalog.fault(key, _PATH, message)
    for each in slices.get((namespace, service.metadata.name), ()):
        for path, message in _slice(catalog, service, each, nodes):
            told = f"Service/{service.metadata.name} has {FORWARDING} {way}: {message}"
            yield catalog.fault(key_of(each), path, told)


def _traffic(service: Service) -> Iterator[tuple[str, str]]:
    spec = service.spec
    if service.has_node_ports and spec.type == "NodePort":
        yield "spec.type", "a node port is an address of the node, which no endpoint can have"
    elif service.has_node_ports:
        message = "it has node ports, whose address no endpoint can have: set it to false"
        yield "spec.allocateLoadBalancerNodePorts", message
    if spec.external_traffic_policy == "Local":
        message = (
            "every client keeps its address anyway, and no rule sees where a packet comes from"
        )
        yield "spec.externalTrafficPolicy", message
    if source_ranges(service):
        yield "spec.loadBalancerSourceRanges", "no rule sees where a packet comes from"


def _targets(service: Service) -> Iterator[tuple[str, str]]:
    for number, port in enumerate(service.spec.ports):
        if isinstance(port.target, int) and port.target != port.port:
            message = f"the port stays as it is, so {port.target} has to be {port.port}"
            yield f"spec.ports[{number}].targetPort", message


def _workload(service: Service, workload: Workload) -> Iterator[str]:
    name, way = workload.metadata.name, service.forwarding
    if workload.spec.host_network:
        yield (
            f"Workload/{name} has its node's own network, and a node balances what comes to it for "
            "a service once more"
        )
    elif way == "direct":
        yield (
            f"direct reaches what is on the nodes' own link, and Workload/{name} is behind its "
            "node: tunnel reaches it"
        )
    for port in service.spec.ports:
        found = _named(workload, port)
        if found and found != port.port:
            yield f"the port stays as it is: {port.target} of Workload/{name} is {found}, not {port.port}"


def _named(workload: Workload, port: ServicePort) -> int:
    """Return *workload*'s port for the named target of *port*, 0 if it has none."""
    for each in workload.spec.ports:
        if each.name == port.target and each.protocol == port.protocol:
            return each.port
    return 0


def _slice(
    catalog: Catalog, service: Service, each: EndpointSlice, nodes: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield path and error of each port and address in a slice that *service* cannot forward to."""
    wanted = {(port.name, port.protocol): port.port for port in service.spec.ports}
    for index, port in enumerate(each.ports):
        number = wanted.get((port.name or "", port.protocol))
        if number and port.port and port.port != number:
            message = f"the port stays as it is, so {port.port} has to be {number}"
            yield f"ports[{index}].port", message
    for index, endpoint in enumerate(each.endpoints):
        for place, text in enumerate(endpoint.addresses):
            with suppress(ValueError):  # reported separately
                for message in _address(catalog, service, canonical(text), nodes):
                    yield f"endpoints[{index}].addresses[{place}]", message


def _address(
    catalog: Catalog, service: Service, text: str, nodes: Mapping[str, str]
) -> Iterator[str]:
    if text in nodes:
        yield (
            f"{text} is Node/{nodes[text]}, and a node balances what comes to it for a service "
            "once more"
        )
    ranges = [each.cidr for each in catalog.cluster.spec.workload_cidrs]
    if service.forwarding == "direct" and any(contains(cidr, text) for cidr in ranges):
        yield (
            f"direct reaches what is on the nodes' own link, and {text} is behind a node: tunnel "
            "reaches it"
        )


def _sharing(service: Service, owners: Mapping[str, Sequence[Service]]) -> Iterator[str]:
    """Yield the external addresses shared with another service: an endpoint would have both."""
    for text in sorted(_outside(service)):
        for other in owners[text]:
            if other is not service:
                yield f"{text} is an address of Service/{other.metadata.name} too"


def _nodes(catalog: Catalog) -> dict[str, str]:
    """Return node names, keyed by the nodes' addresses."""
    found: dict[str, str] = {}
    for node in catalog.nodes.values():
        with suppress(ValueError):  # reported as an error of the node
            found.update((canonical(text), node.name) for text in node.spec.addresses)
    return found


def _owners(catalog: Catalog) -> dict[str, list[Service]]:
    """Return the services of each external address."""
    found: dict[str, list[Service]] = {}
    for service in catalog.services.values():
        for text in _outside(service):
            found.setdefault(text, []).append(service)
    return found


def _outside(service: Service) -> set[str]:
    fixed = (text for _, text in fixed_load_balancer_ips(service))
    texts = (*service.spec.external_ips, *fixed)
    with suppress(ValueError):  # reported separately
        return {canonical(text.strip()) for text in texts if text.strip()}
    return set()
