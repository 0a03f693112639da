"""Warnings for EndpointSlice endpoints in a workload range that belong to no Workload."""

from collections.abc import Collection, Iterator

from groundplane.check.ranges import range_fault
from groundplane.check.slices import used_slices
from groundplane.documents.catalog import Catalog, key_of
from groundplane.errors import Fault
from groundplane.net import address


def unowned_endpoints(catalog: Catalog, owned: Collection[str]) -> Iterator[Fault]:
    """Yield a warning for each endpoint in a workload range whose address is not in *owned*.

    *owned* contains the addresses of workloads and bridges as canonical text.
    """
    cidrs = [each.cidr for each in catalog.cluster.spec.workload_cidrs]
    ranges = [cidr for cidr in cidrs if range_fault(cidr) is None]
    for each in used_slices(catalog):
        for index, endpoint in enumerate(each.endpoints):
            for number, text in enumerate(endpoint.addresses):
                cidr = next((cidr for cidr in ranges if address.contains(cidr, text)), None)
                if cidr and address.canonical(text) not in owned:
                    path = f"endpoints[{index}].addresses[{number}]"
                    message = f"{text} is in the workload range {cidr}, but no Workload has it"
                    yield catalog.fault(key_of(each), path, message)
