"""Catalog validation: rules of names, ports, ranges and references. Reports all errors at once."""

from collections.abc import Iterable, Iterator, Mapping

from groundplane.check.annotations import namespace_annotation_faults
from groundplane.check.answers import answer_warnings, check_answers
from groundplane.check.dns import check_dns
from groundplane.check.foreign_endpoints import check_bridge_endpoints, check_foreign_endpoints
from groundplane.check.hypervisors import check_hypervisors
from groundplane.check.images import check_images
from groundplane.check.machines import check_machines
from groundplane.check.metadata import check_metadata
from groundplane.check.selectors import warnings
from groundplane.check.services import check_services
from groundplane.check.site import check_site
from groundplane.check.slices import check_slices
from groundplane.check.tenant_documents import check_tenant_documents, check_tenant_endpoints
from groundplane.check.tenants import check_tenants
from groundplane.check.unowned import unowned_endpoints
from groundplane.check.workloads import check_workloads
from groundplane.documents.catalog import Catalog, key_of
from groundplane.errors import Fault

__all__ = [
    "answer_warnings",
    "check",
    "check_allocated",
    "check_answers",
    "unowned_endpoints",
    "warnings",
]


def check(catalog: Catalog) -> list[Fault]:
    """Return all errors of *catalog* that can be found before allocation."""
    return [
        *check_site(catalog),
        *check_images(catalog),
        *check_hypervisors(catalog),
        *check_machines(catalog),
        *check_dns(catalog),
        *check_workloads(catalog),
        *check_services(catalog),
        *check_slices(catalog),
        *check_foreign_endpoints(catalog),
        *check_tenants(catalog),
        *check_tenant_documents(catalog),
        *_namespaces(catalog),
    ]


def _namespaces(catalog: Catalog) -> Iterator[Fault]:
    for each in catalog.namespaces.values():
        yield from check_metadata(catalog, each)
        for path, message in namespace_annotation_faults(each):
            yield catalog.fault(key_of(each), path, message)


def check_allocated(
    catalog: Catalog,
    bridges: Mapping[str, str],
    workloads: Mapping[tuple[str, str], Iterable[str]],
) -> list[Fault]:
    """Return the errors of *catalog* that depend on addresses of bridges and workloads.

    *bridges* maps the address of a bridge to its node's name.
    """
    return [
        *check_bridge_endpoints(catalog, bridges),
        *check_tenant_endpoints(catalog, bridges, workloads),
    ]
