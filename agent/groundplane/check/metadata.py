"""Names and labels, which every kind has."""

from collections.abc import Collection, Iterator
from typing import Final

from groundplane.documents.catalog import Catalog, DocumentKey, Object, key_of
from groundplane.documents.path import join
from groundplane.documents.site import Workload
from groundplane.errors import Fault
from groundplane.net import names

# Names of all other kinds are RFC 1123 labels.
_FORMS: Final = {
    "EndpointSlice": names.subdomain,
    "Endpoints": names.subdomain,
    "Node": names.host_name,
    "Hypervisor": names.host_name,
}


def check_metadata(
    catalog: Catalog, document: Object, key: DocumentKey | None = None
) -> Iterator[Fault]:
    """Yield the errors in the name, namespace and labels of *document*, whose key is *key*."""
    key, meta = key or key_of(document), document.metadata
    form = _FORMS.get(document.kind, names.dns_label)
    if fault := form(meta.name):
        yield catalog.fault(key, "metadata.name", fault)
    if key.namespace and (fault := names.dns_label(meta.namespace)):
        yield catalog.fault(key, "metadata.namespace", fault)
    yield from check_labels(catalog, key, "metadata.labels", meta.labels)


def have_valid_metadata(documents: Collection[Workload]) -> bool:
    """Return whether `check_metadata` finds nothing in any of *documents*; for many at once."""
    metas = [document.metadata for document in documents]
    words = [*(meta.name for meta in metas), *{meta.namespace for meta in metas}]
    labels = {pair for meta in metas for pair in meta.labels.items()}
    return (
        all(words)
        and names.are_dns_labels(words)
        and not any(names.label_key(key) or names.label_value(value) for key, value in labels)
    )


def check_labels(
    catalog: Catalog, key: DocumentKey, path: str, labels: dict[str, str]
) -> Iterator[Fault]:
    """Yield the errors in the pairs *labels* at *path*."""
    for name, value in labels.items():
        if fault := names.label_key(name):
            yield catalog.fault(key, join(path, name), fault)
        if fault := names.label_value(value):
            yield catalog.fault(key, join(path, name), fault)
