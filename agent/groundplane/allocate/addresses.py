"""Subnets of nodes, cluster IPs of services, and addresses of workloads in their node's subnet."""

from collections.abc import Mapping, Sequence
from typing import Final

from groundplane.allocate.lock import LOCK_NAME
from groundplane.allocate.pool import Pool, band_of
from groundplane.allocate.requests import AddressRequest, AllocationContext, request_address
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.families import families_of
from groundplane.documents.site import Cluster
from groundplane.net import address
from groundplane.net.protocols import Family

DNS_HOLDER: Final = "the site's DNS service (spec.dns.clusterIPs of the Cluster)"
Name = tuple[str, str]  # namespace, name


def subnets(context: AllocationContext) -> dict[str, tuple[str, ...]]:
    """Return the subnets of each node, one of each family."""
    given: dict[str, list[str]] = {name: [] for name in sorted(context.catalog.nodes)}
    listed = context.catalog.cluster.spec.workload_cidrs
    ranges = {address.family_of(each.cidr): each for each in listed}
    for family in context.families:
        each = ranges[family]
        first, last = address.first_last(each.cidr)
        size = 1 << (address.BITS[family] - each.node_prefix)
        pool = Pool(f"{each.cidr} (subnets of nodes)", 0, (last - first) // size)
        pool.released = {
            (address.first_last(text)[0] - first) // size: turn
            for text, turn in context.lock.released.items()
            if "/" in text and address.overlap(text, each.cidr)
        }
        asks = []
        for node in context.catalog.nodes.values():
            key = key_of(node)
            index, fixed = of_family(node.spec.workload_subnets, family)
            text = fixed or context.held(key, family)
            if text and address.network(text).prefixlen != each.node_prefix:
                message = (
                    f"{text}, which {LOCK_NAME} gives it, is not a /{each.node_prefix}; "
                    f"to have a new one, delete its line in {LOCK_NAME}"
                )
                context.fault(key, "", message)
                continue
            number = (address.first_last(text)[0] - first) // size if text else None
            path = f"spec.workloadSubnets[{index}]"
            asks.append(
                AddressRequest(key, key, number if fixed else None, number, text or "", path)
            )
        for key, number in context.serve(pool, family, asks).items():
            subnet = address.from_int(first + number * size, family)
            given[key.name].append(f"{subnet}/{each.node_prefix}")
    return {name: tuple(texts) for name, texts in given.items()}


def cluster_ips(context: AllocationContext) -> dict[Name, tuple[str, ...]]:
    """Return the cluster IPs of each service, primary family first."""
    wanted = {
        name: () if service.headless else families_of(service, context.catalog.cluster)
        for name, service in context.catalog.services.items()
    }
    given: dict[Name, dict[Family, str]] = {name: {} for name in wanted}
    for cidr in context.catalog.cluster.spec.service_cidrs:
        family = address.family_of(cidr)
        pool = _hosts(cidr, f"the service range {cidr}", skip=1)
        pool.band = band_of(address.network(cidr).size)
        _reserve_dns(context, family, pool)
        pool.released = context.released(family)
        asks = []
        for name, families in wanted.items():
            if family not in families:
                continue
            service = context.catalog.services[name]
            key = key_of(service)
            index, fixed = of_family(service.explicit_cluster_ips, family)
            listed = bool(service.spec.cluster_ips)
            path = f"spec.clusterIPs[{index}]" if listed else "spec.clusterIP"
            asks.append(request_address(key, key, fixed, context.held(key, family), path))
        for key, number in context.serve(pool, family, asks).items():
            given[key.namespace, key.name][family] = address.from_int(number, family)
    return {
        name: tuple(given[name][family] for family in families if family in given[name])
        for name, families in wanted.items()
    }


def _reserve_dns(context: AllocationContext, family: Family, pool: Pool) -> None:
    """Reserve the DNS service's address, unless it is the default and a service already has it."""
    others = () if dns.is_declared(context.catalog.cluster) else _taken(context, family)
    for text in dns.wanted_addresses(context.catalog.cluster):
        if address.family_of(text) == family and text not in others:
            pool.take(address.to_int(text), DNS_HOLDER)


def _taken(context: AllocationContext, family: Family) -> set[str]:
    """Return the cluster IPs of *family* that services fix or hold."""
    services = context.catalog.services.values()
    named = {address.canonical(text) for each in services for text in each.explicit_cluster_ips}
    return named | {held for each in services if (held := context.held(key_of(each), family))}


def dns_addresses(cluster: Cluster, cluster_ips: Mapping[Name, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the addresses of the DNS service, given *cluster_ips*; primary family first."""
    taken = {text for each in cluster_ips.values() for text in each}
    return tuple(text for text in dns.wanted_addresses(cluster) if text not in taken)


def workloads(
    context: AllocationContext, subnets: Mapping[str, tuple[str, ...]]
) -> dict[Name, tuple[str, ...]]:
    """Return each workload's own addresses, one from each family's subnet of its node."""
    given: dict[Name, list[str]] = {name: [] for name in context.catalog.workloads}
    own = [each for each in context.catalog.workloads.values() if not each.spec.host_network]
    for family in context.families:
        released, avoided = context.released(family), endpoint_numbers(context.catalog, family)
        by_node = {
            node: subnet
            for node, of_node in subnets.items()
            for subnet in of_node
            if address.family_of(subnet) == family
        }
        pools: dict[str, Pool] = {}
        for node, subnet in by_node.items():
            # The first address belongs to the bridge.
            pools[node] = _hosts(subnet, f"{subnet}, the subnet of Node/{node}", skip=2)
            pools[node].released, pools[node].avoided = released, avoided
        ends = {node: address.first_last(subnet) for node, subnet in by_node.items()}
        asks: dict[str, list[AddressRequest]] = {name: [] for name in by_node}
        for workload in own:
            key = key_of(workload)
            pool, held = pools[workload.spec.node], context.held(key, family)
            if held and not workload.spec.addresses and pool.gives(address.to_int(held), key):
                given[key.namespace, key.name].append(held)
                continue
            index, fixed = of_family(workload.spec.addresses, family)
            ask = request_address(key, key, fixed, held, f"spec.addresses[{index}]")
            node = workload.spec.node
            # A workload that moved to another node leaves its old address behind.
            if ask.held is not None and not ends[node][0] <= ask.held <= ends[node][1]:
                ask = ask._replace(held=None, text=fixed or "")
            asks[node].append(ask)
        for node, node_asks in asks.items():
            for key, number in context.serve(pools[node], family, node_asks).items():
                given[key.namespace, key.name].append(address.from_int(number, family))
    return {name: tuple(texts) for name, texts in given.items()}


def endpoint_numbers(catalog: Catalog, family: Family) -> frozenset[int]:
    """Return the addresses of *family* that EndpointSlices name: they are already in use."""
    return frozenset(
        address.to_int(text)
        for each in catalog.slices.values()
        if each.address_type == family
        for endpoint in each.endpoints
        for text in endpoint.addresses
    )


def of_family(texts: Sequence[str], family: Family) -> tuple[int, str | None]:
    """Return the address of *family* in *texts*, and its index."""
    for index, text in enumerate(texts):
        if address.family_of(text) == family:
            return index, text
    return 0, None


def _hosts(cidr: str, name: str, *, skip: int) -> Pool:
    """Return the pool of *cidr* without its first *skip* and its IPv4 broadcast address."""
    first, last = address.first_last(cidr)
    family = address.family_of(cidr)
    first, last = first + skip, last - (family == "IPv4")
    usable = f"{address.from_int(first, family)} to {address.from_int(last, family)}"
    return Pool(f"{name} ({usable})", first, last)
