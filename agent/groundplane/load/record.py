"""The record of a file: what it holds, in a form that is read at once, as long as its bytes stay.

Only files without errors have records. A record is found by the digest of what it depends on: the
bytes of the file, how its name ends, and the limits of a reader.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from groundplane.documents.catalog import CLUSTER_SCOPED, DocumentKey, Object, PodTemplate, key_of
from groundplane.documents.endpoints import Endpoints
from groundplane.documents.service import SERVICE_LABEL, EndpointSlice, Service
from groundplane.documents.site import Workload
from groundplane.errors import Fault, Origin
from groundplane.load.documents import Findings, content_of, foreign_notice
from groundplane.load.kinds import KINDS
from groundplane.load.objects import Placed, objects_in

Labels = dict[str, str]


class NamespaceIndex(msgspec.Struct, frozen=True, array_like=True):
    """The objects of one namespace in a file, each with its position among the file's documents.

    *services* has the name and the selector of each, *slices* the name and the service. A site has
    ten times as many workloads, so these are in columns: their positions, their names, and which
    of them have a label (`pair`).
    """

    services: tuple[tuple[int, str, Labels], ...] = ()
    slices: tuple[tuple[int, str, str], ...] = ()
    endpoints: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    workloads: tuple[str, ...] = ()
    labels: dict[str, tuple[int, ...]] = {}

    def matching(self, selector: Labels) -> list[int]:
        """Return the positions of the workloads that have every pair; none for no pair."""
        having = [self.labels.get(pair(*each), ()) for each in selector.items()]
        found = set(having[0]).intersection(*having[1:]) if having else ()
        return [self.positions[number] for number in found]

    def workload(self, name: str) -> int | None:
        """Return the position of the workload *name*; None if the file has none."""
        try:
            return self.positions[self.workloads.index(name)]
        except ValueError:
            return None


def pair(key: str, value: str) -> str:
    return f"{key}\n{value}"


class FilePlace(NamedTuple):
    """An `Origin` without its file."""

    line: int
    within: str
    item_line: int


class FileRecord(msgspec.Struct, frozen=True, array_like=True):
    """What a file holds. Its parts stay encoded until they are needed.

    *alias_bytes* is what its aliases add to its size.
    """

    keys: msgspec.Raw  # tuple[DocumentKey, ...]
    places: msgspec.Raw  # tuple[FilePlace, ...]
    documents: tuple[msgspec.Raw, ...]
    namespaces: dict[str, msgspec.Raw]  # NamespaceIndex
    cluster_scoped: tuple[int, ...]  # positions in *documents*
    skipped: dict[str, int]
    pod_templates: tuple[PodTemplate, ...]
    alias_bytes: int
    is_foreign: bool  # it holds no document for us, and a notice says so

    def document_keys(self) -> tuple[DocumentKey, ...]:
        return _KEYS.decode(self.keys)

    def document_places(self) -> tuple[FilePlace, ...]:
        return _PLACES.decode(self.places)

    def namespace(self, name: str) -> NamespaceIndex:
        found = self.namespaces.get(name)
        return _INDEX.decode(found) if found is not None else _NOTHING

    def objects(self, file: str) -> Iterator[Placed]:
        """Yield the objects with their places in *file*."""
        for key, place, encoded in zip(
            self.document_keys(), self.document_places(), self.documents, strict=True
        ):
            yield decode_object(key.kind, encoded), Origin(file, *place)


_ENCODER: Final = msgspec.msgpack.Encoder()
_RECORD: Final = msgspec.msgpack.Decoder(FileRecord)
_KEYS: Final = msgspec.msgpack.Decoder(tuple[DocumentKey, ...])
_PLACES: Final = msgspec.msgpack.Decoder(tuple[FilePlace, ...])
_INDEX: Final = msgspec.msgpack.Decoder(NamespaceIndex)
_OBJECTS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(type_) for (_, kind), type_ in KINDS.items()
}
_NOTHING: Final = NamespaceIndex()


def decode_object(kind: str, encoded: msgspec.Raw) -> Object:
    """Return the object of *kind* that a record has as *encoded*."""
    found: Object = _OBJECTS[kind].decode(encoded)
    return found


def decode_record(encoded: bytes) -> FileRecord | None:
    """Return the record in *encoded*; None if it is none."""
    try:
        return _RECORD.decode(encoded)
    except (msgspec.DecodeError, ValueError):
        return None


def encode_record(placed: Sequence[Placed], findings: Findings, alias_bytes: int) -> bytes | None:
    """Return the record of a file that has *placed* and *findings*; None if it can have none.

    A file with errors has none, and neither has one with a number of more than 64 bits.
    """
    if findings.faults:
        return None
    found = [document for document, _ in placed]
    record = FileRecord(
        keys=_raw([tuple(key_of(each)) for each in found]),
        places=_raw([origin[1:] for _, origin in placed]),
        documents=(),
        namespaces=_namespaces(found),
        cluster_scoped=tuple(n for n, each in enumerate(found) if each.kind in CLUSTER_SCOPED),
        skipped=dict(findings.skipped),
        pod_templates=tuple(findings.pod_templates),
        alias_bytes=alias_bytes,
        is_foreign=bool(findings.notices),
    )
    try:
        documents = tuple(map(_raw, found))
        return _ENCODER.encode(msgspec.structs.replace(record, documents=documents))
    except (OverflowError, TypeError, ValueError):
        return None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(value))


def _namespaces(objects: Sequence[Object]) -> dict[str, msgspec.Raw]:
    by_namespace: dict[str, list[tuple[int, Object]]] = defaultdict(list)
    for position, each in enumerate(objects):
        if each.kind not in CLUSTER_SCOPED:
            by_namespace[each.metadata.namespace].append((position, each))
    return {name: _raw(_index(found)) for name, found in by_namespace.items()}


def _index(objects: Sequence[tuple[int, Object]]) -> NamespaceIndex:
    workloads = [(n, each.metadata) for n, each in objects if isinstance(each, Workload)]
    labels: dict[str, list[int]] = defaultdict(list)
    for number, (_, meta) in enumerate(workloads):
        for each in meta.labels.items():
            labels[pair(*each)].append(number)
    return NamespaceIndex(
        services=tuple(
            (n, each.metadata.name, each.spec.selector)
            for n, each in objects
            if isinstance(each, Service)
        ),
        slices=tuple(
            (n, each.metadata.name, each.metadata.labels.get(SERVICE_LABEL, ""))
            for n, each in objects
            if isinstance(each, EndpointSlice)
        ),
        endpoints=tuple(n for n, each in objects if isinstance(each, Endpoints)),
        positions=tuple(n for n, _ in workloads),
        workloads=tuple(meta.name for _, meta in workloads),
        labels={name: tuple(numbers) for name, numbers in labels.items()},
    )


class Records(Protocol):
    """Keeps records by their names. It may forget them at any time."""

    def get(self, name: str) -> bytes | None:
        """Return the record *name* as it was put, or None."""

    def put(self, name: str, record: bytes) -> None:
        """Keep *record* as *name*, if there is room."""


class RecordReader:
    """Reads files by their records; a `ReadFile`.

    *names* has the name of the record of each file, "" of one that has none.
    """

    def __init__(self, records: Records) -> None:
        self.names: dict[Path, str] = {}
        self._records = records

    def __call__(self, path: Path, findings: Findings) -> Iterator[Placed]:
        content = content_of(path)
        if isinstance(content, Fault):
            findings.faults.append(content)
            return
        self.names[path] = ""
        name = record_name(path, content, findings.room.values)
        kept = self._records.get(name)
        record = decode_record(kept) if kept is not None else None
        if record is not None and record.alias_bytes <= findings.room.left:
            self.names[path] = name
            _take(record, path, findings)
            for each in record.objects(str(path)):
                if findings.full:
                    return
                yield each
            return
        own, placed, before = _Own(findings), list[Placed](), findings.room.left
        for each in objects_in(path, content, findings):
            placed.append(each)
            yield each
        encoded = encode_record(placed, own.since(findings), before - findings.room.left)
        if encoded is not None:
            self._records.put(name, encoded)
            self.names[path] = name


class _Own:
    """What has been found before a file is read, so that its own findings can be told."""

    def __init__(self, findings: Findings) -> None:
        self._counts = [len(each) for each in _lists(findings)]
        self._skipped = findings.skipped.copy()

    def since(self, findings: Findings) -> Findings:
        """Return what has been found since."""
        faults, notices, pod_templates = (
            each[count:] for each, count in zip(_lists(findings), self._counts, strict=True)
        )
        skipped = findings.skipped - self._skipped
        return Findings(faults, notices, skipped, pod_templates)


def _lists(findings: Findings) -> tuple[list[Any], list[Any], list[Any]]:
    return findings.faults, findings.notices, findings.pod_templates


def read_record(path: Path, content: bytes) -> bytes | None:
    """Return the record of the file *path* with the bytes *content*; None if it can have none."""
    findings = Findings()
    before = findings.room.left
    placed = list(objects_in(path, content, findings))
    return encode_record(placed, findings, before - findings.room.left)


def record_name(path: Path, content: bytes, most_values: int) -> str:
    """Return the name of the record of the file *path*, which has the bytes *content*.

    *most_values* is how many values the reader takes in one document.
    """
    digest = hashlib.sha256(f"{path.suffix} {most_values}\n".encode())
    digest.update(content)
    return digest.hexdigest()


def _take(record: FileRecord, path: Path, findings: Findings) -> None:
    if record.is_foreign:
        findings.notices.append(foreign_notice(path))
    findings.room.left -= record.alias_bytes
    findings.skipped.update(record.skipped)
    findings.pod_templates += record.pod_templates
