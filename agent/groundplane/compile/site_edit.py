"""The last snapshot, edited with what a change concerns, and the state that all services share. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from groundplane.check.answers import FEW
from groundplane.compile.port_ids import number_pools
from groundplane.compile.whole_needed import WholeNeeded
from groundplane.documents.catalog import DocumentKey, Object
from groundplane.documents.site import Workload
from groundplane.site import compiled
from groundplane.site.blocks import Key
from groundplane.site.compiled import Port, Sizes
from groundplane.site.editing import edited
from groundplane.site.map_limits import MAX_AFFINITY_TIMEOUTS
from groundplane.site.map_sizes import sizes
from groundplane.site.snapshot import Snapshot

ObjectChanges = Mapping[DocumentKey, tuple[Object | None, Object | None]]  # before and after
PoolKey = tuple[str, str, str, int]  # namespace, service, protocol and port


def edited_site(
    old: Snapshot,
    site: compiled.Site,
    concerned: set[Key],
    changes: ObjectChanges,
    keys: Iterable[DocumentKey],
    places: Mapping[str, compiled.FilePlaces | None],
) -> bytes:
    """Return *old* edited with what *site* has of what is concerned."""
    before = {name: service for name in concerned if (service := old.service(name)) is not None}
    after = {each.key: each for each in site.services if each.key in concerned}
    if not all(each.cluster_ips or each.external_name for each in after.values()):
        _require_few_headless(old, len(after))
    head = msgspec.structs.replace(
        old.head,
        sizes=_sizes(old.head.sizes, before, after),
        affinity_timeouts=_timeouts(old, before, after),
    )
    shared = {name: service.shared for name, service in before.items()}
    services: dict[Key, compiled.Service | None] = dict.fromkeys(concerned)
    services |= {
        name: msgspec.structs.replace(each, shared=shared.get(name, ())) if name in after else each
        for name, each in _numbered(old, before, after).items()
    }
    workloads = {(key.namespace, key.name) for key in keys if key.kind == "Workload"}
    nodes = {each.node for each in site.workloads if _own(each) in workloads}
    nodes |= {
        each.spec.node
        for versions in changes.values()
        for each in versions
        if isinstance(each, Workload)
    }
    probes: dict[Key, compiled.Probe | None] = dict.fromkeys(workloads)
    probes |= {each.key: each for each in site.probes if each.key in workloads}
    by_node = _by_node(old, site, workloads, nodes)
    return edited(old, head, by_node, probes, services, places)


class _OfOthers(msgspec.Struct, frozen=True):
    """What of a compiled service has to do with other services."""

    namespace: str
    name: str
    cluster_ips: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    affinity_seconds: int = 0
    external_name: str = ""

    def pools(self) -> Iterator[tuple[PoolKey, int]]:
        if self.cluster_ips:
            for port in self.ports:
                yield (self.namespace, self.name, port.protocol, port.port), port.pool


_OF_OTHERS: Final = msgspec.json.Decoder(_OfOthers)


def _require_few_headless(old: Snapshot, more: int) -> None:
    """Raise WholeNeeded if there are so many headless services that their answers must be measured."""
    headless = sum(not (e.cluster_ips or e.external_name) for e in old.services_as(_OF_OTHERS))
    if headless + more > FEW:
        raise WholeNeeded("many services are headless")


def _numbered(
    old: Snapshot, before: Mapping[Key, compiled.Service], after: Mapping[Key, compiled.Service]
) -> dict[Key, compiled.Service]:
    """Return *after* with the numbers of its ports, and other services whose numbers changed."""
    numbers = dict(_pools(before))
    wanted = {key for key, _ in _pools(after).items()}
    if wanted != numbers.keys():
        known = {key: pool for each in old.services_as(_OF_OTHERS) for key, pool in each.pools()}
        numbers = number_pools((known.keys() - numbers.keys()) | wanted)
        moved = {key[:2] for key, pool in known.items() if numbers.get(key, pool) != pool}
        others = {name: old.service(name) for name in moved - after.keys() - before.keys()}
        after = {**{name: each for name, each in others.items() if each}, **after}
    return {name: _with_numbers(each, numbers) for name, each in after.items()}


def _pools(services: Mapping[Key, compiled.Service]) -> dict[PoolKey, int]:
    return {
        (*name, port.protocol, port.port): port.pool
        for name, each in services.items()
        if each.cluster_ips
        for port in each.ports
    }


def _with_numbers(service: compiled.Service, numbers: Mapping[PoolKey, int]) -> compiled.Service:
    if not service.cluster_ips:
        return service
    ports = tuple(
        msgspec.structs.replace(port, pool=numbers[*service.key, port.protocol, port.port])
        for port in service.ports
    )
    return msgspec.structs.replace(service, ports=ports)


def _sizes(
    known: Sizes, before: Mapping[Key, compiled.Service], after: Mapping[Key, compiled.Service]
) -> Sizes:
    gone, came = sizes(before.values()), sizes(after.values())
    return Sizes(
        **{
            field: getattr(known, field) - getattr(gone, field) + getattr(came, field)
            for field in Sizes.__struct_fields__
        }
    )


def _timeouts(
    old: Snapshot, before: Mapping[Key, compiled.Service], after: Mapping[Key, compiled.Service]
) -> tuple[int, ...]:
    """Return all affinity timeouts of the site, ascending."""
    gone, came = ({each.affinity_seconds for each in of.values()} for of in (before, after))
    if gone == came:
        return old.head.affinity_timeouts
    others = {
        each.affinity_seconds
        for each in old.services_as(_OF_OTHERS)
        if (each.namespace, each.name) not in before
    }
    found = (others | came) - {0}
    if len(found) > MAX_AFFINITY_TIMEOUTS:
        raise WholeNeeded("there are too many affinity timeouts")
    return tuple(sorted(found))


def _by_node(
    old: Snapshot, site: compiled.Site, changed: set[Key], nodes: set[str]
) -> dict[str, list[compiled.Workload]]:
    """Return all workloads of *nodes*, on which the workloads *changed* are or were."""
    found = {
        node: [each for each in old.node_workloads(node) if _own(each) not in changed]
        for node in nodes
    }
    for each in site.workloads:
        if _own(each) in changed:
            found[each.node].append(each)
    return {node: sorted(workloads, key=_own) for node, workloads in found.items()}


def _own(workload: compiled.Workload) -> Key:
    return workload.namespace, workload.name
