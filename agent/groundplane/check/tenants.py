"""The Cluster's spec.tenants: each path has one tenant; patterns, ranges and ports are valid."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from groundplane.check.ranges import external_range_fault
from groundplane.documents.catalog import Catalog, key_of
from groundplane.documents.tenant import (
    Tenant,
    normal,
    ports_of,
    tenant_of,
    tenants_by_path,
    with_parents,
)
from groundplane.errors import Fault, FieldFaults
from groundplane.hint import did_you_mean
from groundplane.net import names

_PATTERN_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.*")


def check_tenants(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in the Cluster's spec.tenants."""
    key, tenants = key_of(catalog.cluster), catalog.cluster.spec.tenants
    called = Counter(each.name for each in tenants)
    paths = Counter(normal(path) for each in tenants for path in each.paths)
    pools = [each.name for each in catalog.cluster.spec.load_balancer_pools]
    for index, tenant in enumerate(tenants):
        at = f"spec.tenants[{index}]"
        if fault := names.dns_label(tenant.name):
            yield catalog.fault(key, f"{at}.name", fault)
        elif called[tenant.name] > 1:
            yield catalog.fault(key, f"{at}.name", f'a second tenant named "{tenant.name}"')
        for path, message in (*_paths(tenant, paths), *_listed(tenant), *_pools(tenant, pools)):
            yield catalog.fault(key, f"{at}.{path}", message)
    file = file_in_source(catalog, catalog.origins[key].file)
    if owner := tenant_of(file, tenants_by_path(tenants)):
        message = (
            f'it lies in a path of tenant "{owner.name}": what tenants may say is said elsewhere'
        )
        yield catalog.fault(key, "kind", message)


def tenant_warnings(catalog: Catalog) -> Iterator[Fault]:
    """Yield a warning for each tenant path without documents."""
    files = {file_in_source(catalog, origin.file) for origin in catalog.origins.values()}
    present = {above for file in files for above in with_parents(file)}
    for index, tenant in enumerate(catalog.cluster.spec.tenants):
        for number, path in enumerate(tenant.paths):
            if normal(path) not in present:
                message = f'no document lies in "{path}", so it restricts nothing'
                at = f"spec.tenants[{index}].paths[{number}]"
                yield catalog.fault(key_of(catalog.cluster), at, message)


def file_in_source(catalog: Catalog, file: str) -> str:
    """Return the path of *file* in the source."""
    return normal(file.removeprefix(catalog.source))


def _paths(tenant: Tenant, paths: Counter[str]) -> FieldFaults:
    if not tenant.paths:
        yield "paths", "at least one path is needed"
    for index, text in enumerate(tenant.paths):
        path = normal(text)
        if text.startswith("/") or ".." in path.split("/") or not path:
            yield f"paths[{index}]", f'"{text}" is not a file or folder below the source'
        elif any(letter in text for letter in "*?["):
            yield (
                f"paths[{index}]",
                f'"{text}" has a wildcard; a path has none, so name the folder itself',
            )
        elif paths[path] > 1:
            yield f"paths[{index}]", f'"{text}" is a path of two tenants, or twice of one'


def _listed(tenant: Tenant) -> FieldFaults:
    for field, patterns in (
        ("namespaces", tenant.namespaces),
        ("nodes", tenant.nodes),
        ("externalNames", tenant.external_names),
    ):
        for index, pattern in enumerate(patterns):
            if not pattern or not _PATTERN_LETTERS.issuperset(pattern):
                message = f'"{pattern}" is not a lower-case name ("*" stands for any characters)'
                yield f"{field}[{index}]", message
    for index, cidr in enumerate(tenant.cidrs):
        if fault := external_range_fault(cidr):
            yield f"cidrs[{index}]", fault
    for field, listed in (("nodePorts", tenant.node_ports), ("hostPorts", tenant.host_ports)):
        for index, port in enumerate(listed):
            try:
                list(ports_of([port]))
            except ValueError:
                yield f"{field}[{index}]", f'"{port}" is neither a port nor a range as in 8000-8010'


def _pools(tenant: Tenant, pools: list[str]) -> FieldFaults:
    for index, name in enumerate(tenant.load_balancer_pools):
        if name not in pools:
            message = f'there is no pool "{name}"{did_you_mean(name, pools)}'
            yield f"loadBalancerPools[{index}]", message
