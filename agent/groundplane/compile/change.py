"""The compiled site after a change of its source, at the cost of what the change concerns. Pure.

What a change concerns is made a small catalog, which the functions for a whole one check, allocate
and resolve; then the last snapshot is edited. The global state, and how it is kept:

| State | After a change of services, workloads or slices |
|---|---|
| names of objects, and of workloads' units | new ones are looked up in the records of all files |
| addresses in the lock | the values of changed lines are looked up in the whole lock |
| numbers of service ports | all are numbered again if a port came or went |
| sizes of the kernel's maps | those of concerned services before are subtracted, those after added |
| affinity timeouts | those of the other services are collected if one came or went |
| external addresses, node ports, aliases, host networks | whole compile if they change |
| aliases of YAML in a file that has changed | whole compile: all files share a limit |
| Cluster, Node, machines, tenants, Endpoints, a Namespace that was there | whole compile |
| a fault, or a lock that is not up to date | whole compile, which says what is wrong |
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from groundplane.allocate import Allocations, allocate
from groundplane.check import check, check_allocated, check_answers
from groundplane.check.answers import FEW
from groundplane.compile.lock_change import LockChange
from groundplane.compile.port_ids import number_pools
from groundplane.compile.resolve import compile_places, compile_site
from groundplane.compile.whole_needed import WholeNeeded
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog, DocumentKey, Object, key_of
from groundplane.documents.external import fixed_load_balancer_ips
from groundplane.documents.machine import Hypervisor, Image
from groundplane.documents.service import SERVICE_LABEL, EndpointSlice, Namespace, Service
from groundplane.documents.site import Cluster, Node, Workload
from groundplane.errors import CatalogError, Origin
from groundplane.load.record import FileRecord, Labels, NamespaceIndex, decode_object
from groundplane.site import compiled
from groundplane.site.blocks import Key
from groundplane.site.compiled import Port, Sizes
from groundplane.site.editing import edited
from groundplane.site.map_limits import MAX_AFFINITY_TIMEOUTS
from groundplane.site.map_sizes import sizes
from groundplane.site.snapshot import Snapshot, decode

Find = Callable[[str], FileRecord]
ObjectChanges = Mapping[DocumentKey, tuple[Object | None, Object | None]]  # before and after
PoolKey = tuple[str, str, str, int]

_LOCAL: Final = frozenset({"Service", "Workload", "EndpointSlice", "Namespace"})


class Compiled(msgspec.Struct, frozen=True):
    """What a source had when it was compiled, and what that came to.

    *files* has the name of the record of each file, by its path below the source.
    """

    files: dict[str, str]
    lock: bytes
    snapshot: bytes


def compile_change(last: Compiled, files: Mapping[str, str], lock: bytes, record: Find) -> bytes:
    """Return the snapshot of the source that has *files* and *lock*, by editing that of *last*.

    *record* returns a record by its name. WholeNeeded if the whole source must be compiled.
    """
    lines = LockChange(last.lock, lock)
    came = [record(name) for path, name in files.items() if last.files.get(path) != name]
    if any(each.alias_bytes for each in came):
        raise WholeNeeded("a file that has changed has aliases, and all share one limit")
    gone = [record(name) for path, name in last.files.items() if files.get(path) != name]
    changes = _changes(gone, came)
    keys = {*changes, *lines.objects()}
    rest = _Rest(files.values(), record, {key.namespace for key in keys})
    _require_local(changes, lines, rest)
    concerned = _concerned(changes, keys, rest)
    catalog = _catalog(concerned, keys, rest)
    found = _compiled(catalog, lines)
    places = _places(last, files, record)
    return _edited(decode(last.snapshot), found, concerned, changes, keys, places)


def _places(
    last: Compiled, files: Mapping[str, str], record: Find
) -> dict[str, compiled.FilePlaces | None]:
    """Return the places of each file that has changed; None for one that is gone."""
    found: dict[str, compiled.FilePlaces | None] = dict.fromkeys(last.files.keys() - files.keys())
    for path, name in files.items():
        if last.files.get(path) == name:
            continue
        each = record(name)
        written = [
            (key, *place)
            for key, place in zip(each.document_keys(), each.document_places(), strict=True)
        ]
        found[path] = compile_places(path, written) if written else None
    return found


def _changes(gone: Iterable[FileRecord], came: Iterable[FileRecord]) -> ObjectChanges:
    """Return the documents in which *gone* and *came*, the records of changed files, differ."""
    before, after = _documents(gone), _documents(came)
    changes: dict[DocumentKey, tuple[Object | None, Object | None]] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old != new:
            changes[key] = _decoded(key, old), _decoded(key, new)
    return changes


def _documents(records: Iterable[FileRecord]) -> dict[DocumentKey, bytes]:
    found: dict[DocumentKey, bytes] = {}
    for record in records:
        for key, encoded in zip(record.document_keys(), record.documents, strict=True):
            if key in found:
                raise WholeNeeded(f"{key} is there twice")
            found[key] = bytes(encoded)
    return found


def _decoded(key: DocumentKey, encoded: bytes | None) -> Object | None:
    return None if encoded is None else decode_object(key.kind, msgspec.Raw(encoded))


class _Entry(NamedTuple):
    """An object in a record; *matched* is the selector of a service, or the service of a slice."""

    kind: str
    record: FileRecord
    position: int
    matched: Labels | str = ""

    def object(self) -> Object:
        return decode_object(self.kind, self.record.documents[self.position])


class _Rest:
    """What the source has now: cluster-scoped objects, and what some namespaces have."""

    def __init__(self, names: Iterable[str], record: Find, namespaces: set[str]) -> None:
        self.cluster_scoped: list[Object] = []
        self.every_namespace: set[str] = set()
        self.services: dict[Key, _Entry] = {}
        self.slices: dict[Key, _Entry] = {}
        self._indexes: dict[str, list[tuple[FileRecord, NamespaceIndex]]] = defaultdict(list)
        self._names, self._record = [*names], record
        for name in self._names:
            each = record(name)
            self.every_namespace |= each.namespaces.keys()
            if each.cluster_scoped:
                kinds = [key.kind for key in each.document_keys()]
                self.cluster_scoped += (
                    _Entry(kinds[n], each, n).object() for n in each.cluster_scoped
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
                into[namespace, name] = _Entry(kind, record, position, matched)

    def workload(self, key: Key) -> _Entry | None:
        for record, index in self._indexes[key[0]]:
            if (position := index.workload(key[1])) is not None:
                return _Entry("Workload", record, position)
        return None

    def selected(self, namespace: str, selector: Labels) -> list[_Entry]:
        """Return the workloads of *namespace* that have every pair of *selector*."""
        return [
            _Entry("Workload", record, position)
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


def _require_local(changes: ObjectChanges, lines: LockChange, rest: _Rest) -> None:
    """Raise WholeNeeded if a change could concern others than those that it is compiled with."""
    for key, (before, after) in changes.items():
        if key.kind not in _LOCAL:
            raise WholeNeeded(f"{key} has changed")
        if isinstance(before, Namespace):
            raise WholeNeeded(f"{key} may be in another file, too, and its place is in the first")
        if _shared(before) != _shared(after):
            raise WholeNeeded(f"{key} has changed in what it shares with others")
        if after is None and key.kind in ("Service", "Workload") and lines.holds(key):
            raise WholeNeeded(f"the lock still has {key}")
        if isinstance(after, Workload):
            _require_own_unit(before, after, rest)
    _require_known_holders(lines, rest)
    clusters = [each for each in rest.cluster_scoped if isinstance(each, Cluster)]
    if len(clusters) != 1 or clusters[0].spec.tenants:
        raise WholeNeeded("the site has tenants, or not one Cluster")
    if not lines.values().isdisjoint(dns.wanted_addresses(clusters[0])):
        raise WholeNeeded("the address of the site's DNS service has changed hands")


def _require_known_holders(lines: LockChange, rest: _Rest) -> None:
    for key in lines.objects():
        name = key.namespace, key.name
        is_there = name in rest.services if key.kind == "Service" else rest.workload(name)
        if lines.holds(key) and not is_there:
            raise WholeNeeded(f"the lock has {key}, which is not there")


def _shared(document: Object | None) -> object:
    """Return what *document* has that concerns others than those it is matched with; None if nothing."""
    if isinstance(document, Workload):
        return document.spec.ports if document.spec.host_network else None
    return _shared_of_service(document) if isinstance(document, Service) else None


def _shared_of_service(service: Service) -> object:
    spec = service.spec
    outside: object = None
    if spec.type in ("NodePort", "LoadBalancer") or spec.external_ips:
        # What it is reached by from outside, and what that is chosen by.
        outside = (
            msgspec.structs.replace(
                spec,
                selector={},
                ports=(),
                internal_traffic_policy=None,
                publish_not_ready_addresses=False,
                session_affinity="None",
                session_affinity_config=None,
                traffic_distribution=None,
            ),
            [(port.protocol, port.port, port.node_port) for port in spec.ports],
            service.metadata.annotations,
        )
    alias = spec.external_name if service.external else None
    found = alias, outside, service.forwarding, tuple(fixed_load_balancer_ips(service))
    return None if found == (None, None, "masquerading", ()) else found


def _require_own_unit(before: Object | None, after: Workload, rest: _Rest) -> None:
    """Raise WholeNeeded if another workload may have the name of the unit of *after*."""
    if isinstance(before, Workload) and before.spec.node == after.spec.node:
        return
    own = after.metadata.namespace, after.metadata.name
    unit = "-".join(own)
    for at, letter in enumerate(unit):
        other = unit[:at], unit[at + 1 :]
        if letter == "-" and other != own and rest.has_workload(other):
            raise WholeNeeded(f"the unit {unit} may be that of two workloads")


def _concerned(changes: ObjectChanges, keys: Iterable[DocumentKey], rest: _Rest) -> set[Key]:
    """Return the services that may be others by a change of *keys*, also such as are gone."""
    named = set[Key]()
    labels: dict[str, list[Labels]] = defaultdict(list)  # of changed workloads, before and after
    for key in keys:
        name = key.namespace, key.name
        versions = [each for each in changes.get(key, ()) if each is not None]
        if key.kind == "Service":
            named.add(name)
        elif key.kind == "EndpointSlice":
            named |= {(name[0], each.metadata.labels.get(SERVICE_LABEL, "")) for each in versions}
        elif key.kind == "Workload":
            entry = None if versions else rest.workload(name)
            versions += [entry.object()] if entry else []
            labels[name[0]] += (each.metadata.labels for each in versions)
    for name, entry in rest.services.items():
        selector = _selector(entry).items()
        if selector and any(selector <= each.items() for each in labels.get(name[0], ())):
            named.add(name)
    # A slice may name a service without a document: none, or the site's own DNS service.
    return {
        name for name in named if name in rest.services or DocumentKey("Service", *name) in changes
    }


def _selector(entry: _Entry) -> Labels:
    assert isinstance(entry.matched, dict)  # noqa: S101
    return entry.matched


def _catalog(concerned: set[Key], keys: Iterable[DocumentKey], rest: _Rest) -> Catalog:
    """Return the catalog of what a change concerns, and of all cluster-scoped objects."""
    services = {name: rest.services[name] for name in concerned if name in rest.services}
    entries = [*services.values()]
    entries += (
        entry
        for (namespace, _), service in services.items()
        for entry in rest.selected(namespace, _selector(service))
    )
    entries += (each for name, each in rest.slices.items() if (name[0], each.matched) in services)
    for key in keys:
        name = key.namespace, key.name
        if key.kind == "Workload" and (found := rest.workload(name)):
            entries.append(found)
        elif key.kind == "EndpointSlice" and name in rest.slices:
            entries.append(rest.slices[name])
    once = {(id(each.record), each.position): each for each in entries}
    objects = [*rest.cluster_scoped, *(each.object() for each in once.values())]
    (cluster,) = (each for each in objects if isinstance(each, Cluster))
    return Catalog(
        cluster=cluster,
        nodes={each.name: each for each in objects if isinstance(each, Node)},
        workloads={_name(each): each for each in objects if isinstance(each, Workload)},
        services={_name(each): each for each in objects if isinstance(each, Service)},
        slices={_name(each): each for each in objects if isinstance(each, EndpointSlice)},
        namespaces={each.metadata.name: each for each in objects if isinstance(each, Namespace)},
        hypervisors={each.metadata.name: each for each in objects if isinstance(each, Hypervisor)},
        images={each.metadata.name: each for each in objects if isinstance(each, Image)},
        origins={key_of(each): Origin("", 1) for each in objects},
    )


def _name(document: Object) -> Key:
    return document.metadata.namespace, document.metadata.name


def _compiled(catalog: Catalog, lines: LockChange) -> compiled.Site:
    """Return *catalog* compiled; WholeNeeded for any fault, or a lock that is not up to date."""
    if check(catalog):
        raise WholeNeeded("a fault")
    lock = lines.part(
        [
            *(DocumentKey("Service", *name) for name in catalog.services),
            *(DocumentKey("Workload", *name) for name in catalog.workloads),
        ]
    )
    try:
        allocations: Allocations = allocate(catalog, lock)
    except CatalogError:
        raise WholeNeeded("an address that cannot be had") from None
    if allocations.lock != lock:
        raise WholeNeeded("the lock is not up to date")
    site = compile_site(catalog, allocations)
    faults = check_allocated(catalog, allocations.bridges, allocations.workloads)
    if faults or [*check_answers(catalog, site)]:
        raise WholeNeeded("a fault")
    return site


def _edited(
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
