"""Cluster and nodes: ranges do not overlap, and each address belongs to one node."""

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from groundplane.check.management import management_faults
from groundplane.check.metadata import check_metadata
from groundplane.check.proxy_modes import check_proxy_modes
from groundplane.check.ranges import external_range_fault, outside_ranges, own_ranges, range_fault
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.external import external_ranges
from groundplane.documents.families import site_families
from groundplane.documents.site import Node
from groundplane.errors import Fault
from groundplane.net import address, names
from groundplane.net.ports import port_range
from groundplane.net.schedulers import scheduler_fault

_LONGEST_DRAIN_S: Final = 86400


def check_site(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors of the Cluster and of every Node."""
    yield from _cluster(catalog)
    yield from _external(catalog)
    yield from _limits(catalog)
    yield from _ipvs(catalog)
    yield from check_proxy_modes(catalog)
    holders: dict[str, str] = {}
    if not catalog.nodes:
        message = "there is no Node document; at least one is needed"
        yield catalog.fault(key_of(catalog.cluster), "", message)
    for node in catalog.nodes.values():
        yield from check_metadata(catalog, node)
        yield from _node(catalog, node, holders)
    yield from _subnets(catalog)


def _cluster(catalog: Catalog) -> Iterator[Fault]:
    key, spec = key_of(catalog.cluster), catalog.cluster.spec
    yield from check_metadata(catalog, catalog.cluster)
    if fault := names.domain(spec.cluster_domain):
        yield catalog.fault(key, "spec.clusterDomain", fault)
    workload_ranges = tuple(each.cidr for each in spec.workload_cidrs)
    yield from _one_per_family(catalog, "serviceCIDRs", "", spec.service_cidrs)
    yield from _one_per_family(catalog, "workloadCIDRs", ".cidr", workload_ranges)
    for index, cidr in enumerate(spec.service_cidrs):
        if range_fault(cidr) is None and (fault := _service_prefix(cidr)):
            yield catalog.fault(key, f"spec.serviceCIDRs[{index}]", fault)
    for index, each in enumerate(spec.workload_cidrs):
        if range_fault(each.cidr) is None:
            yield from _node_prefix(catalog, index)
    for family in site_families(catalog.cluster):
        if workload_ranges and family not in [address.family_of(cidr) for cidr in workload_ranges]:
            message = f"services have {family} addresses, so workloads need an {family} range too"
            yield catalog.fault(key, "spec.workloadCIDRs", message)
    for (_, one), (path, other) in combinations(own_ranges(catalog), 2):
        if address.overlap(one, other):
            yield catalog.fault(key, path, f"{other} overlaps {one}")
    yield from _outside(catalog)


def _ipvs(catalog: Catalog) -> Iterator[Fault]:
    key, ipvs = key_of(catalog.cluster), catalog.cluster.spec.ipvs
    if fault := scheduler_fault(ipvs.scheduler):
        yield catalog.fault(key, "spec.ipvs.scheduler", fault)
    if not 0 <= ipvs.drain_seconds <= _LONGEST_DRAIN_S:
        message = f"{ipvs.drain_seconds} is not a time: 0 to {_LONGEST_DRAIN_S} seconds"
        yield catalog.fault(key, "spec.ipvs.drainSeconds", message)


def _limits(catalog: Catalog) -> Iterator[Fault]:
    key, limits = key_of(catalog.cluster), catalog.cluster.spec.change_limits
    for name, share in (
        ("removedServices", limits.removed_services),
        ("renumberedServices", limits.renumbered_services),
        ("removedEndpoints", limits.removed_endpoints),
        ("emptiedServices", limits.emptied_services),
    ):
        if not 0 <= share <= 100:
            message = f"{share} is not a share: a number of percent from 0 to 100"
            yield catalog.fault(key, f"spec.changeLimits.{name}", message)


def _outside(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in the Cluster's ranges of outside hosts."""
    key, spec = key_of(catalog.cluster), catalog.cluster.spec
    for index, cidr in enumerate(spec.non_masquerade_cidrs):
        if fault := range_fault(cidr):
            yield catalog.fault(key, f"spec.nonMasqueradeCIDRs[{index}]", fault)


def _external(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in the Cluster's node-port and external-address settings."""
    key = key_of(catalog.cluster)
    try:
        port_range(catalog.cluster.spec.node_port_range)
    except ValueError as error:
        yield catalog.fault(key, "spec.nodePortRange", str(error))
    yield from _pools(catalog)
    others = own_ranges(catalog)
    for path, cidr in external_ranges(catalog.cluster):
        if fault := external_range_fault(cidr):
            yield catalog.fault(key, path, fault)
            continue
        for _, other in others:
            if address.overlap(cidr, other):
                yield catalog.fault(key, path, f"{cidr} overlaps {other}")
        # Two overlapping pools would assign the same address twice.
        if path.startswith("spec.loadBalancerPools"):
            others.append((path, cidr))


def _pools(catalog: Catalog) -> Iterator[Fault]:
    key, named = key_of(catalog.cluster), set[str]()
    for index, pool in enumerate(catalog.cluster.spec.load_balancer_pools):
        path = f"spec.loadBalancerPools[{index}]"
        if fault := names.dns_label(pool.name):
            yield catalog.fault(key, f"{path}.name", fault)
        if pool.name in named:
            yield catalog.fault(key, f"{path}.name", f'a second pool named "{pool.name}"')
        if not pool.cidrs:
            yield catalog.fault(key, f"{path}.cidrs", "at least one range is needed")
        named.add(pool.name)


def _one_per_family(
    catalog: Catalog, field: str, suffix: str, cidrs: tuple[str, ...]
) -> Iterator[Fault]:
    key = key_of(catalog.cluster)
    if not cidrs:
        yield catalog.fault(key, f"spec.{field}", "at least one range is needed")
    families = [address.family_of(cidr) for cidr in cidrs]
    for index, cidr in enumerate(cidrs):
        path = f"spec.{field}[{index}]{suffix}"
        if fault := range_fault(cidr):
            yield catalog.fault(key, path, fault)
        elif families[index] in families[:index]:
            yield catalog.fault(key, path, f"a second {families[index]} range; one per family")


def _service_prefix(cidr: str) -> str | None:
    """Return why the range *cidr* is not a service range, or None if it is one."""
    family, prefix = address.family_of(cidr), address.network(cidr).prefixlen
    least, most = 64 if family == "IPv6" else 8, address.BITS[family] - 2
    if least <= prefix <= most:
        return None
    return f"{cidr} is not an {family} service range: /{least} to /{most}"


def _node_prefix(catalog: Catalog, index: int) -> Iterator[Fault]:
    each = catalog.cluster.spec.workload_cidrs[index]
    prefix, bits = address.network(each.cidr).prefixlen, address.BITS[address.family_of(each.cidr)]
    # A subnet needs addresses for the network, the bridge, one workload and (IPv4) broadcast.
    if not prefix <= each.node_prefix <= bits - 2:
        yield catalog.fault(
            key_of(catalog.cluster),
            f"spec.workloadCIDRs[{index}].nodePrefix",
            f"{each.node_prefix} is not a prefix of a part of {each.cidr}: {prefix} to {bits - 2}",
        )


def _node(catalog: Catalog, node: Node, holders: dict[str, str]) -> Iterator[Fault]:
    key, spec = key_of(node), node.spec
    families = [address.family_of(each) for each in spec.addresses]
    for index, each in enumerate(spec.addresses):
        path = f"spec.addresses[{index}]"
        bad = list(outside_ranges(catalog, key, path, each))
        yield from bad
        if families[index] in families[:index]:
            yield catalog.fault(key, path, f"a second {families[index]} address; one per family")
        if bad:
            continue
        holder = holders.setdefault(address.canonical(each), node.name)
        if holder != node.name:
            yield catalog.fault(key, path, f"{each} is the address of Node/{holder}")
    for family in site_families(catalog.cluster):
        if family not in families:
            message = f"no {family} address, though the site's services have {family}"
            yield catalog.fault(key, "spec.addresses", message)
    for field, message in management_faults(spec.management):
        yield catalog.fault(key, f"spec.management.{field}", message)


def _subnets(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in subnets that Node documents fix."""
    seen: list[tuple[str, str]] = []
    for node in catalog.nodes.values():
        for index, subnet in enumerate(node.spec.workload_subnets):
            key, path = key_of(node), f"spec.workloadSubnets[{index}]"
            if fault := range_fault(subnet):
                yield catalog.fault(key, path, fault)
                continue
            prefix = address.network(subnet).prefixlen
            fits = any(
                address.overlap(each.cidr, subnet) and prefix == each.node_prefix
                for each in catalog.cluster.spec.workload_cidrs
                if range_fault(each.cidr) is None
            )
            if not fits:
                yield catalog.fault(
                    key, path, f"{subnet} is not a node's part of spec.workloadCIDRs"
                )
            family = address.family_of(subnet)
            if family in [address.family_of(other) for name, other in seen if name == node.name]:
                yield catalog.fault(key, path, f"a second {family} subnet; one per family")
            elif holder := next((n for n, other in seen if address.overlap(other, subnet)), None):
                yield catalog.fault(key, path, f"{subnet} overlaps the subnet of Node/{holder}")
            seen.append((node.name, subnet))
