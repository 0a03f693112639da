"""Alias chains of ExternalNames: they must end, and be short enough for a server to follow."""

from collections.abc import Iterator, Mapping

from groundplane.documents.catalog import Catalog, key_of
from groundplane.errors import Fault
from groundplane.net.dns_names import MAX_ALIASES, service_name

AliasName = tuple[str, str]  # namespace and name of a service


def check_aliases(catalog: Catalog) -> Iterator[Fault]:
    """Yield an error for each ExternalName whose alias chain gives clients SERVFAIL."""
    targets = _targets(catalog)
    ends = _ends(targets)
    for name, target in targets.items():
        length = ends[name]
        if length is not None and length <= MAX_ALIASES:
            continue
        message = (
            f"{target[0]}/{target[1]} leads back to an alias before it: no client gets an answer; "
            "use a target outside of the loop"
            if length is None
            else f"a chain of {length} ExternalNames begins here, and servers follow "
            f"{MAX_ALIASES}; use a target nearer to its end"
        )
        yield catalog.fault(key_of(catalog.services[name]), "spec.externalName", message)


def _targets(catalog: Catalog) -> dict[AliasName, AliasName]:
    """Return the Service each ExternalName leads to; ("", "") if its target is not a Service."""
    domain = catalog.cluster.spec.cluster_domain.removesuffix(".")
    names = {service_name(domain, *name).removesuffix("."): name for name in catalog.services}
    return {
        name: names.get((service.spec.external_name or "").removesuffix("."), ("", ""))
        for name, service in catalog.services.items()
        if service.external
    }


def _ends(targets: Mapping[AliasName, AliasName]) -> dict[AliasName, int | None]:
    """Return the length of the alias chain from each of *targets*, None for an endless chain."""
    known: dict[AliasName, int | None] = {}
    for first in targets:
        chain: dict[AliasName, None] = {}
        at = first
        while at in targets and at not in known and at not in chain:
            chain[at] = None
            at = targets[at]
        length = None if at in chain else known.get(at, 0)
        for each in reversed(chain):
            length = None if length is None else length + 1
            known[each] = length
    return known
