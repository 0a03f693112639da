"""What a catalog may say: every rule of names, ports, ranges and references, all faults at once."""

from groundplane.check.answers import answer_warnings, check_answers
from groundplane.check.dns import check_dns
from groundplane.check.hypervisors import check_hypervisors
from groundplane.check.images import check_images
from groundplane.check.machines import check_machines
from groundplane.check.metadata import check_metadata
from groundplane.check.selectors import warnings
from groundplane.check.services import check_services
from groundplane.check.site import check_site
from groundplane.check.slices import check_slices
from groundplane.check.unowned import unowned_endpoints
from groundplane.check.workloads import check_workloads
from groundplane.errors import Fault
from groundplane.model.catalog import Catalog

__all__ = ["answer_warnings", "check", "check_answers", "unowned_endpoints", "warnings"]


def check(catalog: Catalog) -> list[Fault]:
    """Return every fault of *catalog* that can be seen without its addresses."""
    return [
        *check_site(catalog),
        *check_images(catalog),
        *check_hypervisors(catalog),
        *check_machines(catalog),
        *check_dns(catalog),
        *check_workloads(catalog),
        *check_services(catalog),
        *check_slices(catalog),
        *(fault for each in catalog.namespaces.values() for fault in check_metadata(catalog, each)),
    ]
