"""Reads a source directory: every YAML file in it, whatever the layout, into one catalog."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from groundplane.errors import CatalogError, Fault, Origin, SourceError
from groundplane.load.convert import convert
from groundplane.load.yaml import YamlError, parse, split
from groundplane.model.catalog import CLUSTER_SCOPED, Catalog, Key, Object, key_of
from groundplane.model.hint import did_you_mean
from groundplane.model.machine import Hypervisor, Image
from groundplane.model.path import join
from groundplane.model.service import EndpointSlice, Namespace, Service
from groundplane.model.site import API_VERSION, Cluster, Node, Workload

MAX_FILE_BYTES: Final = 64 << 20
SUFFIXES: Final = (".yaml", ".yml")
KINDS: Final[dict[tuple[str, str], type[Object]]] = {
    (API_VERSION, "Cluster"): Cluster,
    (API_VERSION, "Node"): Node,
    (API_VERSION, "Hypervisor"): Hypervisor,
    (API_VERSION, "Image"): Image,
    (API_VERSION, "Workload"): Workload,
    ("v1", "Service"): Service,
    ("v1", "Namespace"): Namespace,
    ("discovery.k8s.io/v1", "EndpointSlice"): EndpointSlice,
}
# core/v1 as a whole, so that a misspelt Service is not skipped for a kind that is not ours.
CORE_KINDS: Final = frozenset(
    {
        "Binding",
        "ComponentStatus",
        "ConfigMap",
        "Endpoints",
        "Event",
        "LimitRange",
        "List",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ReplicationController",
        "ResourceQuota",
        "Secret",
        "Service",
        "ServiceAccount",
    }
)
# What these say would be lost in silence if they were skipped like other kinds of Kubernetes.
UNSUPPORTED: Final = {"NetworkPolicy": "network policies", "Endpoints": "Endpoints documents"}


def files_of(source: Path) -> list[Path]:
    """Return the YAML files below *source* in a stable order, without hidden ones."""
    if not source.is_dir():
        what = "is not a directory" if source.exists() else "does not exist"
        raise SourceError(f"{source}: the source {what}")
    found = (path for path in _walk(source) if path.suffix in SUFFIXES)
    # What is no regular file stays, so that it is an error: what it should hold is missing.
    return sorted(path for path in found if not path.is_dir())


def _walk(source: Path) -> Iterator[Path]:
    """Yield every file below *source*, without hidden ones."""
    for folder, folders, files in os.walk(source, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _unreadable(error: OSError) -> NoReturn:
    raise SourceError(f"{error.filename}: cannot be read: {error.strerror}")


def load(source: Path) -> Catalog:
    """Return the catalog of the directory *source*.

    Raises SourceError when it cannot be read, CatalogError with every fault of every document.
    """
    faults: list[Fault] = []
    objects: dict[Key, Object] = {}
    origins: dict[Key, Origin] = {}
    skipped: dict[str, int] = {}
    for origin, value in _items(source, faults):
        match _read(origin, value, skipped):
            case list() as found:
                faults += found
            case None:
                pass
            case document:
                key = key_of(document)
                if key in objects:
                    message = f"already defined at {_placed(origins[key])}"
                    faults.append(Fault(origin, str(key), "metadata.name", message))
                else:
                    objects[key], origins[key] = document, origin
    clusters = [document for document in objects.values() if isinstance(document, Cluster)]
    for extra in map(key_of, clusters[1:]):
        message = f"a site has one Cluster, and {_placed(origins[key_of(clusters[0])])} is it"
        faults.append(Fault(origins[extra], str(extra), "kind", message))
    if not faults and not clusters:
        faults.append(Fault(Origin(str(source), 0), "", "", _NO_CLUSTER if objects else _EMPTY))
    if faults:
        raise CatalogError(place(faults))
    notices = (*_notices(skipped), *_passed_over(source))
    return _catalog(clusters[0], objects.values(), origins, notices)


_NO_CLUSTER = "there is no Cluster document; one is needed"
_EMPTY = "no documents: an empty source is never taken for a site without services"


def _notices(skipped: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        f"{count} {kind} document{'s' if count > 1 else ''} skipped: nothing in this kind is for us"
        for kind, count in sorted(skipped.items())
    )


def _passed_over(source: Path) -> tuple[str, ...]:
    """Return what to say of files that are probably meant to be read."""
    meant = (path for path in _walk(source) if path.suffix.lower() in SUFFIXES)
    return tuple(
        f"{path} is not read: its name has to end in {' or '.join(SUFFIXES)}"
        for path in sorted(meant)
        if path.suffix not in SUFFIXES
    )


def _catalog(
    cluster: Cluster,
    objects: Iterable[Object],
    origins: Mapping[Key, Origin],
    notices: tuple[str, ...],
) -> Catalog:
    by_kind: dict[str, dict[Any, Any]] = {kind: {} for _, kind in KINDS}
    for document in objects:
        meta = document.metadata
        by_kind[document.kind][
            meta.name if document.kind in CLUSTER_SCOPED else (meta.namespace, meta.name)
        ] = document
    return Catalog(
        cluster=cluster,
        nodes=by_kind["Node"],
        workloads=by_kind["Workload"],
        services=by_kind["Service"],
        slices=by_kind["EndpointSlice"],
        namespaces=by_kind["Namespace"],
        hypervisors=by_kind["Hypervisor"],
        images=by_kind["Image"],
        origins=origins,
        notices=notices,
    )


def _text(path: Path) -> str | Fault:
    start = Origin(str(path), 1)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return Fault(start, "", "", "no regular file")
        if found.st_size > MAX_FILE_BYTES:
            limit = f"{MAX_FILE_BYTES >> 20} MiB"
            what = f"the file has {found.st_size} bytes; a file has at most {limit}"
            return Fault(start, "", "", what)
        raw = path.read_bytes()
    except OSError as error:
        return Fault(start, "", "", f"cannot be read: {error.strerror}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Fault(start._replace(line=line), "", "", f"not UTF-8: byte 0x{raw[error.start]:02x}")


def _documents(path: Path, faults: list[Fault]) -> Iterator[tuple[Origin, object]]:
    text = _text(path)
    if isinstance(text, Fault):
        faults.append(text)
        return
    for line, body in split(text):
        origin = Origin(str(path), line)
        try:
            yield origin, parse(body, line)
        except YamlError as error:
            from groundplane.load import positions  # PyYAML: imported once something is wrong

            duplicates = positions.duplicate_keys(body) if "duplicate" in str(error) else []
            at = error.line or line + positions.key_that_is_none(body)
            faults += [
                Fault(origin._replace(line=line + below), "", where, f'duplicate key "{key}"')
                for below, where, key in duplicates
            ] or [Fault(origin._replace(line=at), "", "", f"not YAML: {error}")]


def _items(source: Path, faults: list[Fault]) -> Iterator[tuple[Origin, object]]:
    """Yield every document of *source*, and in place of a List its items."""
    for path in files_of(source):
        for origin, value in _documents(path, faults):
            items = value.get("items") if isinstance(value, dict) else None
            if isinstance(value, dict) and value.get("kind") == "List" and isinstance(items, list):
                for index, item in enumerate(items):
                    yield origin._replace(within=join("items", index)), item
            else:
                yield origin, value


def _read(origin: Origin, value: object, skipped: dict[str, int]) -> Object | list[Fault] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        return [Fault(origin, "", "", "a document is a mapping with apiVersion and kind")]
    api, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(api, str) or not isinstance(kind, str):
        return [Fault(origin, "", "", "apiVersion and kind are required, as text")]
    subject = _subject(kind, value.get("metadata"))
    type_ = KINDS.get((api, kind))
    if type_ is None:
        return _foreign(origin, subject, api, kind, skipped)
    document = convert(value, type_)
    if isinstance(document, list):
        return [Fault(origin, subject, path, message) for path, message in document]
    return document


def _subject(kind: str, meta: object) -> str:
    """Return what faults call a document that is no object yet: its key, as far as known."""
    names = meta if isinstance(meta, dict) else {}
    if not names.get("name"):
        return kind
    namespace = "" if kind in CLUSTER_SCOPED else names.get("namespace") or "default"
    return str(Key(kind, str(namespace), str(names["name"])))


def _foreign(
    origin: Origin, subject: str, api: str, kind: str, skipped: dict[str, int]
) -> list[Fault] | None:
    if kind in UNSUPPORTED:
        what = UNSUPPORTED[kind]
        return [Fault(origin, subject, "kind", f"{what} are not supported by this version")]
    known = {name: version for version, name in KINDS}
    if kind in known:
        message = f'{kind} has apiVersion "{known[kind]}", not "{api}"'
        return [Fault(origin, subject, "apiVersion", message)]
    if kind.endswith("List") and kind.removesuffix("List") in known:
        return [
            Fault(origin, subject, "kind", f"use a List of {kind.removesuffix('List')} documents")
        ]
    if api == "v1" and kind not in CORE_KINDS:
        hint = did_you_mean(kind, CORE_KINDS)
        return [Fault(origin, subject, "kind", f'v1 has no kind "{kind}"{hint}')]
    if api == API_VERSION:
        hint = did_you_mean(kind, [name for version, name in KINDS if version == API_VERSION])
        return [Fault(origin, subject, "kind", f'unknown kind "{kind}"{hint}')]
    skipped[kind] = skipped.get(kind, 0) + 1
    return None


def place(faults: Iterable[Fault]) -> list[Fault]:
    """Return *faults*, each moved from its document's first line to the line of its path."""
    texts: dict[str, dict[int, str]] = {}
    return [_moved(fault, texts) for fault in faults]


def _moved(fault: Fault, texts: dict[str, dict[int, str]]) -> Fault:
    from groundplane.load import positions  # PyYAML: imported once something is wrong

    file, line, within = fault.origin
    path = ".".join(part for part in (within, fault.path) if part)
    if not path:
        return fault
    if file not in texts:
        text = _text(Path(file)) if Path(file).is_file() else ""
        texts[file] = dict(split(text)) if isinstance(text, str) else {}
    below = positions.line_of(texts[file][line], path) if line in texts[file] else 0
    return fault._replace(origin=Origin(file, line + below))


def _placed(origin: Origin) -> Origin:
    return _moved(Fault(origin, "", "", ""), {}).origin
