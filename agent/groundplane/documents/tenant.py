"""Tenants: what files below a path of the source may contain (Cluster, spec.tenants)."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final, Literal

from groundplane.documents.meta import Document
from groundplane.net.ports import port_range

TenantKind = Literal[
    "Service", "Workload", "EndpointSlice", "Endpoints", "Namespace", "Node", "Hypervisor", "Image"
]
KINDS: Final[tuple[TenantKind, ...]] = ("Service", "Workload", "EndpointSlice", "Endpoints")


class Tenant(Document, frozen=True):
    """What the files below *paths* may use; anything not listed is forbidden.

    *namespaces*, *nodes* and *externalNames* are patterns in which "*" stands for any characters.
    *cidrs* are ranges of addresses that documents may fix. Each item of *nodePorts* and *hostPorts*
    is a port or FIRST-LAST.
    """

    name: str
    paths: tuple[str, ...]
    namespaces: tuple[str, ...] = ()
    kinds: tuple[TenantKind, ...] = KINDS
    nodes: tuple[str, ...] = ("*",)
    cidrs: tuple[str, ...] = ()
    load_balancer_pools: tuple[str, ...] = ()
    node_ports: tuple[int | str, ...] = ()
    host_ports: tuple[int | str, ...] = ()
    external_names: tuple[str, ...] = ()
    exec_probes: bool = False


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether *name* matches one of *patterns*."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def ports_of(listed: Iterable[int | str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last port of each part of *listed*; ValueError when one is not a port."""
    for each in listed:
        yield port_range(each if isinstance(each, str) and "-" in each else f"{each}-{each}")


def has_port(listed: Iterable[int | str], port: int) -> bool:
    return any(first <= port <= last for first, last in ports_of(listed))


def normal(path: str) -> str:
    """Return *path* without empty and "." parts."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def with_parents(path: str) -> Iterator[str]:
    """Yield *path* and the paths of the folders above it, the longest first."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def tenants_by_path(tenants: Iterable[Tenant]) -> dict[str, Tenant]:
    return {normal(path): tenant for tenant in tenants for path in tenant.paths}


def tenant_of(file: str, tenants: Mapping[str, Tenant]) -> Tenant | None:
    """Return the tenant with the longest path above *file*, a path in the source, or None."""
    return next((tenants[each] for each in with_parents(file) if each in tenants), None)
