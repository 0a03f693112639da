"""What a source has now, as far as a change needs it, from the records of its files. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from groundplane.compile.whole_needed import WholeNeeded
from groundplane.documents.catalog import Object
from groundplane.load.record import FileRecord, Labels, NamespaceIndex, decode_object
from groundplane.site.blocks import Key

FindRecord = Callable[[str], FileRecord]


class IndexedObject(NamedTuple):
    """An object in a record; *matched* is the selector of a service, or the service of a slice."""

    kind: str
    record: FileRecord
    position: int
    matched: Labels | str = ""

    def object(self) -> Object:
        return decode_object(self.kind, self.record.documents[self.position])


class SourceIndex:
    """What the source has now: cluster-scoped objects, and what some namespaces have."""

    def __init__(self, names: Iterable[str], record: FindRecord, namespaces: set[str]) -> None:
        self.cluster_scoped: list[Object] = []
        self.every_namespace: set[str] = set()
        self.services: dict[Key, IndexedObject] = {}
        self.slices: dict[Key, IndexedObject] = {}
        self._indexes: dict[str, list[tuple[FileRecord, NamespaceIndex]]] = defaultdict(list)
        self._names, self._record = [*names], record
        for name in self._names:
            each = record(name)
            self.every_namespace |= each.namespaces.keys()
            if each.cluster_scoped:
                kinds = [key.kind for key in each.document_keys()]
                self.cluster_scoped += (
                    IndexedObject(kinds[n], each, n).object() for n in each.cluster_scoped
                )
            for namespace in namespaces & each.namespaces.keys():
                self._add(namespace, each)
        named = [each.metadata.name for each in self.cluster_scoped if each.kind == "Namespace"]
        if len({*named}) < len(named):
            raise WholeNeeded("a namespace is in two files, and its place is in the first one")
        for namespace, found in self._indexes.items():
            workloads = [name for _, index in found for name in index.workloads]
            if len({*workloads}) < len(workloads):
                raise WholeNeeded(f"namespace {namespace} has a workload twice")

    def _add(self, namespace: str, record: FileRecord) -> None:
        found = record.namespace(namespace)
        if found.endpoints:
            raise WholeNeeded(f"namespace {namespace} has Endpoints")
        self._indexes[namespace].append((record, found))
        for kind, listed, into in (
            ("Service", found.services, self.services),
            ("EndpointSlice", found.slices, self.slices),
        ):
            for position, name, matched in listed:
                if (namespace, name) in into:
                    raise WholeNeeded(f"{namespace}/{name} is there twice")
                into[namespace, name] = IndexedObject(kind, record, position, matched)

    def workload(self, key: Key) -> IndexedObject | None:
        for record, index in self._indexes[key[0]]:
            if (position := index.workload(key[1])) is not None:
                return IndexedObject("Workload", record, position)
        return None

    def selected(self, namespace: str, selector: Labels) -> list[IndexedObject]:
        """Return the workloads of *namespace* that have every pair of *selector*."""
        return [
            IndexedObject("Workload", record, position)
            for record, index in self._indexes[namespace]
            for position in index.matching(selector)
        ]

    def has_workload(self, key: Key) -> bool:
        """Return whether any file has the workload *key*, whatever its namespace is."""
        namespace, name = key
        return namespace in self.every_namespace and any(
            record.namespace(namespace).workload(name) is not None
            for record in map(self._record, self._names)
        )
