"""The IP families of a service, determined by its policy, its own list and the site's ranges.

The rules are those of KEP-563 (dual stack) and pkg/registry/core/service/storage/alloc.go.
"""

from groundplane.documents.service import Service
from groundplane.documents.site import Cluster
from groundplane.net.address import family_of
from groundplane.net.protocols import Family


def site_families(cluster: Cluster) -> tuple[Family, ...]:
    """Return the site's families; the first service range's is the primary one."""
    return tuple(family_of(cidr) for cidr in cluster.spec.service_cidrs)


class FamilyError(ValueError):
    """The families of a service do not fit; *field* of its spec says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def families_of(service: Service, cluster: Cluster) -> tuple[Family, ...]:
    """Return the families of *service*, primary first; FamilyError says why they do not fit.

    A service of type ExternalName has none.
    """
    if service.external:
        return ()
    site, spec = site_families(cluster), service.spec
    policy = spec.ip_family_policy
    if service.headless and not spec.selector and policy == "RequireDualStack":
        # Kubernetes writes this default for such services even in single-family clusters.
        wanted = tuple(family for family in spec.ip_families if family in site)
        return wanted + tuple(family for family in site if family not in wanted)
    wanted = _wanted(service, site)
    if policy is None:
        if service.headless and not spec.selector:
            return wanted + tuple(family for family in site if family not in wanted)
        if len(wanted) > 1:
            message = 'two families need ipFamilyPolicy "PreferDualStack" or "RequireDualStack"'
            raise FamilyError(_field(service), message)
        policy = "SingleStack"
    primary = wanted or site[:1]
    if policy == "SingleStack":
        if len(wanted) > 1:
            raise FamilyError("ipFamilyPolicy", "two families, but ipFamilyPolicy is SingleStack")
        return primary
    if policy == "RequireDualStack" and len(site) < 2:
        message = "RequireDualStack, but the site has service ranges of one family only"
        raise FamilyError("ipFamilyPolicy", message)
    return primary + tuple(family for family in site if family not in primary)


def _wanted(service: Service, site: tuple[Family, ...]) -> tuple[Family, ...]:
    """Return the families that the document names explicitly or through its addresses."""
    addresses = service.explicit_cluster_ips
    wanted = service.spec.ip_families or tuple(family_of(ip) for ip in addresses)
    for family in wanted:
        if family not in site:
            raise FamilyError(_field(service), f"the site has no {family} service range")
    if len(set(wanted)) != len(wanted):
        raise FamilyError(_field(service), "duplicate family; remove one")
    return wanted


def _field(service: Service) -> str:
    """Return the field of the spec that names the families."""
    spec = service.spec
    return "ipFamilies" if spec.ip_families else "clusterIPs" if spec.cluster_ips else "clusterIP"
