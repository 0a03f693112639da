"""The catalog: every document of a source, by kind and name, with its file and line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from groundplane.documents.endpoints import Endpoints, Mirror
from groundplane.documents.machine import Hypervisor, Image
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import EndpointSlice, Namespace, Service
from groundplane.documents.site import Cluster, Node, Workload
from groundplane.errors import Fault, Origin

Object = (
    Cluster | Node | Hypervisor | Image | Workload | Service | EndpointSlice | Endpoints | Namespace
)


class DocumentKey(NamedTuple):
    """The unique key of an object; *namespace* is "" for cluster-wide objects."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind, namespace, name = self
        if namespace and name:
            return f"{kind}/{namespace}/{name}"
        return "/".join(part for part in self if part)


CLUSTER_SCOPED = frozenset({"Cluster", "Node", "Hypervisor", "Image", "Namespace"})


def key_of(document: Object) -> DocumentKey:
    """Return the key of *document* in a catalog."""
    namespace = "" if document.kind in CLUSTER_SCOPED else document.metadata.namespace
    return DocumentKey(document.kind, namespace, document.metadata.name)


class PodTemplate(NamedTuple):
    """The pod template of a skipped document, such as a Deployment."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Catalog:
    """All objects of the directory *source*. *cluster* is its only Cluster.

    Other findings: *skipped* describes documents for other programs, *notices* describes files that
    are not read although they may be meant to be, and *ignored* lists what an ignore file names.

    *slices* also contains the mirrors of Endpoints; *mirrors* says where each of these is written.
    """

    cluster: Cluster
    nodes: Mapping[str, Node]
    workloads: Mapping[tuple[str, str], Workload]
    services: Mapping[tuple[str, str], Service]
    slices: Mapping[tuple[str, str], EndpointSlice]
    namespaces: Mapping[str, Namespace]
    hypervisors: Mapping[str, Hypervisor]
    images: Mapping[str, Image]
    origins: Mapping[DocumentKey, Origin] = field(compare=False)
    endpoints: Mapping[tuple[str, str], Endpoints] = field(default_factory=dict)
    mirrors: Mapping[DocumentKey, Mirror] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    pod_templates: tuple[PodTemplate, ...] = ()
    source: str = ""

    @cached_property
    def labels(self) -> LabelIndex:
        """The index of all workloads by their labels."""
        return LabelIndex(self.workloads.values())

    def fault(self, key: DocumentKey, path: str, message: str) -> Fault:
        """Return an error of the object *key*, located at its document."""
        if mirror := self.mirrors.get(key):
            key, path = DocumentKey("Endpoints", key.namespace, mirror.name), mirror.written(path)
        return Fault(self.origins[key], str(key), path, message)

    def written(self) -> Iterator[Object]:
        """Yield every object that has a document of its own."""
        yield self.cluster
        for kind in (
            self.nodes,
            self.hypervisors,
            self.images,
            self.namespaces,
            self.workloads,
            self.services,
            self.endpoints,
        ):
            yield from kind.values()
        yield from (each for each in self.slices.values() if key_of(each) not in self.mirrors)
