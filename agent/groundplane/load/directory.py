"""Reading a source directory: all YAML and JSON files in it, in any layout, become one catalog."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundplane.documents.catalog import CLUSTER_SCOPED, Catalog, DocumentKey, Object, key_of
from groundplane.documents.endpoints import Mirror, mirrored, skipped_for
from groundplane.documents.path import below
from groundplane.documents.service import EndpointSlice, Namespace
from groundplane.documents.site import Cluster
from groundplane.errors import MAX_FAULTS, CatalogError, Fault, Origin
from groundplane.load.documents import Findings, texts_of
from groundplane.load.kinds import KINDS
from groundplane.load.objects import ReadFile, read_file
from groundplane.load.tree import require_size, tree_of
from groundplane.processes.limits import doing


def load(source: Path, read: ReadFile = read_file) -> Catalog:
    """Return the catalog of the directory *source*, whose files *read* reads.

    Raises SourceError if it cannot be read, and CatalogError with all errors of all documents.
    """
    findings = Findings()
    texts: Texts = {}
    objects: dict[DocumentKey, Object] = {}
    origins: dict[DocumentKey, Origin] = {}
    tree = tree_of(source)
    require_size(source, tree)
    findings.faults += tree.faults
    for path in tree.read:
        if findings.full:
            break
        doing(f"reading {path}")
        for document, origin in read(path, findings):
            key = key_of(document)
            if key not in objects:
                objects[key], origins[key] = document, origin
            elif not _same_namespace(document, objects[key]):
                message = f"already defined at {line_of(origins[key], texts)}"
                findings.faults.append(Fault(origin, str(key), "metadata.name", message))
    faults = findings.faults
    clusters = [document for document in objects.values() if isinstance(document, Cluster)]
    for extra in map(key_of, clusters[1:]):
        message = (
            f"a site has one Cluster, and {line_of(origins[key_of(clusters[0])], texts)} is it"
        )
        faults.append(Fault(origins[extra], str(extra), "kind", message))
    if not faults and not clusters:
        faults.append(Fault(Origin(str(source), 0), "", "", _NO_CLUSTER if objects else _EMPTY))
    if faults:
        raise CatalogError(*place(faults), all_counted=not (findings.full or findings.cut))
    passed_over = [f"{path} is not read: {reason}" for path, reason in tree.passed_over]
    return replace(
        _catalog(clusters[0], objects.values(), origins),
        skipped=(*_notices(findings.skipped), *findings.notices),
        notices=tuple(passed_over),
        ignored=tuple(tree.ignored),
        pod_templates=tuple(findings.pod_templates),
        source=str(source),
    )


_NO_CLUSTER = "there is no Cluster document; one is needed"
_EMPTY = "no documents; an empty source is an error, not a site without services"


def _notices(skipped: Mapping[str, int]) -> Iterator[str]:
    for kind, count in sorted(skipped.items()):
        documents = f"{count} {kind} document{'s' if count > 1 else ''}"
        yield f"{documents} skipped: nothing in this kind is for us"


def _same_namespace(one: Object, other: Object) -> bool:
    """Return whether both are the same Namespace: charts and manifests often repeat it."""
    if not (isinstance(one, Namespace) and isinstance(other, Namespace)):
        return False
    return one.metadata.labels == other.metadata.labels


def _catalog(
    cluster: Cluster,
    objects: Iterable[Object],
    origins: Mapping[DocumentKey, Origin],
) -> Catalog:
    by_kind: dict[str, dict[Any, Any]] = {kind: {} for _, kind in KINDS}
    for document in objects:
        meta = document.metadata
        by_kind[document.kind][
            meta.name if document.kind in CLUSTER_SCOPED else (meta.namespace, meta.name)
        ] = document
    slices: dict[tuple[str, str], EndpointSlice] = dict(by_kind["EndpointSlice"])
    mirrors: dict[DocumentKey, Mirror] = {}
    for name, endpoints in by_kind["Endpoints"].items():
        if not skipped_for(endpoints, by_kind["Service"].get(name)):
            for made, mirror in mirrored(endpoints):
                slices[made.metadata.namespace, made.metadata.name] = made
                mirrors[key_of(made)] = mirror
    return Catalog(
        cluster=cluster,
        nodes=by_kind["Node"],
        workloads=by_kind["Workload"],
        services=by_kind["Service"],
        slices=slices,
        endpoints=by_kind["Endpoints"],
        mirrors=mirrors,
        namespaces=by_kind["Namespace"],
        hypervisors=by_kind["Hypervisor"],
        images=by_kind["Image"],
        origins=origins,
    )


def place(faults: Iterable[Fault]) -> tuple[list[Fault], int]:
    """Return the first MAX_FAULTS of *faults* by file and document, and how many more there are.

    Each error is moved from its document's first line to the line of its path.
    """
    doing("looking up the lines of faults")
    texts: Texts = {}
    found = sorted(dict.fromkeys(faults), key=lambda fault: fault.origin[:2])
    placed = [_moved(fault, texts) for fault in found[:MAX_FAULTS]]
    return sorted(placed), max(0, len(found) - MAX_FAULTS)


Texts = dict[str, dict[int, str]]  # by file: document texts by their first lines


def _moved(fault: Fault, texts: Texts) -> Fault:
    from groundplane.load import positions  # PyYAML: imported only after an error

    file, line, within, _ = fault.origin
    path = below(within, fault.path)
    if not path:
        return fault
    if file not in texts:
        texts[file] = texts_of(Path(file)) if Path(file).is_file() else {}
    deeper = positions.line_of(texts[file][line], path) if line in texts[file] else 0
    return fault._replace(origin=Origin(file, line + deeper))


def line_of(origin: Origin, texts: Texts | None = None) -> Origin:
    """Return *origin* at the line of the item if its document is a List.

    *texts* caches the files' documents for the next call.
    """
    texts = {} if texts is None else texts
    return _moved(Fault(origin, "", "", ""), texts).origin
