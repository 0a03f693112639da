"""The kinds of documents in a source, and how other kinds are handled."""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, Final

from groundplane.documents.catalog import Object, PodTemplate
from groundplane.documents.endpoints import Endpoints
from groundplane.documents.machine import Hypervisor, Image
from groundplane.documents.service import EndpointSlice, Namespace, Service
from groundplane.documents.site import API_VERSION, Cluster, Node, NodeSpec, Workload
from groundplane.hint import did_you_mean, nearest

KINDS: Final[dict[tuple[str, str], type[Object]]] = {
    (API_VERSION, "Cluster"): Cluster,
    (API_VERSION, "Node"): Node,
    (API_VERSION, "Hypervisor"): Hypervisor,
    (API_VERSION, "Image"): Image,
    (API_VERSION, "Workload"): Workload,
    ("v1", "Service"): Service,
    ("v1", "Namespace"): Namespace,
    ("v1", "Endpoints"): Endpoints,
    ("discovery.k8s.io/v1", "EndpointSlice"): EndpointSlice,
}
# All of core/v1, so that a misspelled Service is not skipped as a foreign kind.
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
# These would be silently ignored if they were skipped like other kinds of Kubernetes.
_UNSUPPORTED: Final = {
    ("networking.k8s.io", "NetworkPolicy"): "network policies",
}
_PRINTED: Final = (API_VERSION, "Endpoints")  # by `groundplane get endpoints`
_VERSIONS: Final = {kind: version for version, kind in KINDS}
_OWN: Final = [kind for version, kind in KINDS if version == API_VERSION]
_OWN_GROUP: Final = (API_VERSION.partition("/")[0],)
_NODE_FIELDS: Final = frozenset(NodeSpec.__struct_encode_fields__)


def _group(api: str) -> str:
    return api.rpartition("/")[0]


def refusal(api: str, kind: str, spec: object) -> tuple[str, str] | None:
    """Return the field and the error of a document outside KINDS, None if the document is skipped.

    A kind of another project's API group is skipped, also if it has the name of one of KINDS.
    *spec* is what the document has under this name.
    """
    group = _group(api)
    if (api, kind) == _PRINTED:
        return None
    if what := _UNSUPPORTED.get((group, kind)):
        return "kind", f"{what} are not supported by this version"
    if kind in _VERSIONS and _meant(group, kind, spec):
        return "apiVersion", f'{kind} has apiVersion "{_VERSIONS[kind]}", not "{api}"'
    if api == "v1" and kind not in CORE_KINDS:
        return "kind", f'v1 has no kind "{kind}"{did_you_mean(kind, CORE_KINDS)}'
    if api == API_VERSION:
        return "kind", f'unknown kind "{kind}"{did_you_mean(kind, _OWN)}'
    return None


def name_of(api: str, kind: str) -> str:
    """Return the name of a skipped *kind* in notices: with its API if we have one of that name."""
    ours = kind in _VERSIONS or kind in {unsupported for _, unsupported in _UNSUPPORTED}
    return f"{api} {kind}" if ours else kind


def is_skipped(api: str, kind: str) -> bool:
    """Return whether documents of this kind are skipped whatever they say."""
    listed = kind.endswith("List")
    return (
        bool(api and kind)
        and not listed
        and (api, kind) not in KINDS
        and not refusal(api, kind, {})
    )


def pod_templates(value: Mapping[str, Any]) -> Iterator[PodTemplate]:
    """Yield the pod templates of a skipped document, if it has any."""
    meta, spec = _mapping(value, "metadata"), _mapping(value, "spec")
    for at in ((), ("template",), ("jobTemplate", "spec", "template")):
        if bool(at) == (value["kind"] == "Pod"):
            continue
        found = reduce(_mapping, at, spec) if at else value
        labels = _mapping(_mapping(found, "metadata"), "labels")
        if labels and all(isinstance(each, str) for each in labels.values()):
            namespace = str(meta.get("namespace") or "default")
            yield PodTemplate(value["kind"], namespace, str(meta.get("name", "")), labels)


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _meant(group: str, kind: str, spec: object) -> bool:
    """Return whether a *kind* of the API *group* is probably meant to be one of KINDS.

    Groups of other projects are domain names (Kubernetes' API conventions).
    """
    if not group and kind == "Node":  # core/v1 also has this kind
        return isinstance(spec, dict) and not _NODE_FIELDS.isdisjoint(spec)
    return "." not in group or group == _group(_VERSIONS[kind]) or nearest(group, _OWN_GROUP) != ""
