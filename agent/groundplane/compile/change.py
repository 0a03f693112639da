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
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from groundplane.allocate import Allocations, allocate
from groundplane.check import check, check_allocated, check_answers
from groundplane.compile.lock_change import LockChange
from groundplane.compile.places import compile_places
from groundplane.compile.resolve import compile_site
from groundplane.compile.site_edit import ObjectChanges, edited_site
from groundplane.compile.source_index import FindRecord, IndexedObject, SourceIndex
from groundplane.compile.whole_needed import WholeNeeded
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog, DocumentKey, Object, key_of
from groundplane.documents.external import fixed_load_balancer_ips
from groundplane.documents.machine import Hypervisor, Image
from groundplane.documents.service import SERVICE_LABEL, EndpointSlice, Namespace, Service
from groundplane.documents.site import Cluster, Node, Workload
from groundplane.errors import CatalogError, Origin
from groundplane.load.record import FileRecord, Labels, decode_object
from groundplane.site import compiled
from groundplane.site.blocks import Key
from groundplane.site.snapshot import decode

_LOCAL: Final = frozenset({"Service", "Workload", "EndpointSlice", "Namespace"})


class Compiled(msgspec.Struct, frozen=True):
    """What a source had when it was compiled, and what that came to.

    *files* has the name of the record of each file, by its path below the source.
    """

    files: dict[str, str]
    lock: bytes
    snapshot: bytes


def compile_change(
    last: Compiled, files: Mapping[str, str], lock: bytes, record: FindRecord
) -> bytes:
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
    index = SourceIndex(files.values(), record, {key.namespace for key in keys})
    _require_local(changes, lines, index)
    concerned = _concerned(changes, keys, index)
    catalog = _catalog(concerned, keys, index)
    found = _compiled(catalog, lines)
    places = _places(last, files, record)
    return edited_site(decode(last.snapshot), found, concerned, changes, keys, places)


def _places(
    last: Compiled, files: Mapping[str, str], record: FindRecord
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


def _require_local(changes: ObjectChanges, lines: LockChange, index: SourceIndex) -> None:
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
            _require_own_unit(before, after, index)
    _require_known_holders(lines, index)
    clusters = [each for each in index.cluster_scoped if isinstance(each, Cluster)]
    if len(clusters) != 1 or clusters[0].spec.tenants:
        raise WholeNeeded("the site has tenants, or not one Cluster")
    if not lines.values().isdisjoint(dns.wanted_addresses(clusters[0])):
        raise WholeNeeded("the address of the site's DNS service has changed hands")


def _require_known_holders(lines: LockChange, index: SourceIndex) -> None:
    for key in lines.objects():
        name = key.namespace, key.name
        is_there = name in index.services if key.kind == "Service" else index.workload(name)
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


def _require_own_unit(before: Object | None, after: Workload, index: SourceIndex) -> None:
    """Raise WholeNeeded if another workload may have the name of the unit of *after*."""
    if isinstance(before, Workload) and before.spec.node == after.spec.node:
        return
    own = after.metadata.namespace, after.metadata.name
    unit = "-".join(own)
    for at, letter in enumerate(unit):
        other = unit[:at], unit[at + 1 :]
        if letter == "-" and other != own and index.has_workload(other):
            raise WholeNeeded(f"the unit {unit} may be that of two workloads")


def _concerned(changes: ObjectChanges, keys: Iterable[DocumentKey], index: SourceIndex) -> set[Key]:
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
            entry = None if versions else index.workload(name)
            versions += [entry.object()] if entry else []
            labels[name[0]] += (each.metadata.labels for each in versions)
    for name, entry in index.services.items():
        selector = _selector(entry).items()
        if selector and any(selector <= each.items() for each in labels.get(name[0], ())):
            named.add(name)
    # A slice may name a service without a document: none, or the site's own DNS service.
    return {
        name for name in named if name in index.services or DocumentKey("Service", *name) in changes
    }


def _selector(entry: IndexedObject) -> Labels:
    assert isinstance(entry.matched, dict)  # noqa: S101
    return entry.matched


def _catalog(concerned: set[Key], keys: Iterable[DocumentKey], index: SourceIndex) -> Catalog:
    """Return the catalog of what a change concerns, and of all cluster-scoped objects."""
    services = {name: index.services[name] for name in concerned if name in index.services}
    entries = [*services.values()]
    entries += (
        entry
        for (namespace, _), service in services.items()
        for entry in index.selected(namespace, _selector(service))
    )
    entries += (each for name, each in index.slices.items() if (name[0], each.matched) in services)
    for key in keys:
        name = key.namespace, key.name
        if key.kind == "Workload" and (found := index.workload(name)):
            entries.append(found)
        elif key.kind == "EndpointSlice" and name in index.slices:
            entries.append(index.slices[name])
    once = {(id(each.record), each.position): each for each in entries}
    objects = [*index.cluster_scoped, *(each.object() for each in once.values())]
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
