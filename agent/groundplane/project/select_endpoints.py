"""`select_endpoints`: selects a service's endpoints at a place, by conditions, hints and health."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from groundplane.site import compiled

Failing = AbstractSet[tuple[str, str]]  # namespace and name of each workload whose probe fails


class Place(NamedTuple):
    """Where traffic starts: a node and its zone, "" for none."""

    node: str
    zone: str


NOWHERE: Final = Place("", "")


class SelectedEndpoints(NamedTuple):
    """Endpoints of a service by their index: those that are ready, those that new connections go to
    by either traffic policy, and those whose established flows may go on."""

    ready: Sequence[int]
    cluster: Sequence[int]
    local: Sequence[int]
    serving: Sequence[int]


def select_endpoints(
    service: compiled.Service, place: Place, failing: Failing
) -> SelectedEndpoints:
    """Return the endpoints of *service* selected at *place*.

    Ready ones; if there are none, those that are serving and terminating (KEP-1669). The node's own
    endpoints are selected separately. With publishNotReadyAddresses, all count as ready; if all
    probes fail and the service keeps its last endpoints, all count as if no probe failed.
    """
    endpoints = service.endpoints
    passing: Sequence[int] = range(len(endpoints))
    if failing and not service.publish_not_ready and endpoints.workloads:
        passing = _passing(service, failing)
    ready: Sequence[int] = passing
    draining: Sequence[int] = ()
    if endpoints.conditions and not service.publish_not_ready:
        ready = [index for index in passing if endpoints.is_ready(index)]
        draining = [index for index in passing if endpoints.is_draining(index)]
    return _chosen(service, place, ready, draining)


def select_again(
    service: compiled.Service, place: Place, chosen: SelectedEndpoints, having: Sequence[object]
) -> SelectedEndpoints:
    """Return *chosen* selected again among only the endpoints *having* a family or port.

    Endpoints are selected per family and port, as in an EndpointSlice: an endpoint that lacks the
    family or port must not displace one that has it.
    """
    draining = chosen.serving[len(chosen.ready) :]
    return _chosen(
        service,
        place,
        [index for index in chosen.ready if having[index]],
        [index for index in draining if having[index]],
    )


def _chosen(
    service: compiled.Service, place: Place, ready: Sequence[int], draining: Sequence[int]
) -> SelectedEndpoints:
    endpoints = service.endpoints
    local: Sequence[int] = ()
    if service.internal_local or service.external_local:
        here = _at(endpoints, ready, place)
        local = here or _at(endpoints, draining, place)
    cluster = _preferred(endpoints, ready, place) or draining
    return SelectedEndpoints(ready, cluster, local, (*ready, *draining) if draining else ready)


def _passing(service: compiled.Service, failing: Failing) -> Sequence[int]:
    namespace, workloads = service.namespace, service.endpoints.workloads
    failed = [index for index, name in enumerate(workloads) if (namespace, name) in failing]
    if not failed or (service.keep_last_endpoints and len(failed) == len(workloads)):
        return range(len(workloads))
    return [index for index in range(len(workloads)) if index not in failed]


def _at(endpoints: compiled.Endpoints, among: Sequence[int], place: Place) -> list[int]:
    nodes = endpoints.nodes
    return [index for index in among if nodes[index] == place.node] if nodes else []


def _preferred(endpoints: compiled.Endpoints, ready: Sequence[int], place: Place) -> Sequence[int]:
    """Return those of *ready* that hints prefer here: by node, else by zone, else all.

    A kind of hint counts only if every ready endpoint has one and at least one names this place
    (pkg/proxy/topology.go, CategorizeEndpoints).
    """
    for hints, here in ((endpoints.for_nodes, place.node), (endpoints.for_zones, place.zone)):
        if not (hints and here and all(hints[index] for index in ready)):
            continue
        if preferred := [index for index in ready if here in hints[index]]:
            return preferred
    return ready
