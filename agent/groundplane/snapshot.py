"""The compiled site as bytes: a line for the site, one for each node's workloads and each service.

What changed between two snapshots is found by comparing lines, and only the lines that a node
needs and that did change are decoded: a service that comes or goes costs what it costs, not what
the site does.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from groundplane.errors import StateError
from groundplane.model.compiled import FORMAT, Service, Site, Workload

Key = tuple[str, str]  # namespace and name of a service

_encode: Final = msgspec.json.Encoder().encode
_site: Final = msgspec.json.Decoder(Site)
_service: Final = msgspec.json.Decoder(Service)
_workloads: Final = msgspec.json.Decoder(tuple[Workload, ...])


@dataclass(frozen=True)
class Snapshot:
    """A compiled site, its services and workloads still encoded. *head* has none of either."""

    head: Site
    workloads: Mapping[str, bytes] = field(repr=False)  # by their node
    services: Mapping[Key, bytes] = field(repr=False)

    def site(self, node: str) -> Site:
        """Return the site as *node* needs it: with its own workloads, and without services."""
        own = _workloads.decode(self.workloads[node]) if node in self.workloads else ()
        return msgspec.structs.replace(self.head, workloads=own)

    def service(self, key: Key) -> Service:
        """Return the service *key*; KeyError when the site has none of that name."""
        return _service.decode(self.services[key])

    def every_service(self) -> Iterable[Service]:
        return map(_service.decode, self.services.values())


def encode(site: Site) -> bytes:
    """Return *site* as bytes: equal sites give equal bytes."""
    by_node: dict[str, list[Workload]] = defaultdict(list)
    for workload in site.workloads:
        by_node[workload.node].append(workload)
    head = msgspec.structs.replace(site, services=(), workloads=())
    lines = [_encode(head)]
    lines += [_line(name, by_node[name]) for name in sorted(by_node)]
    lines += [_line(f"{each.namespace}/{each.name}", each) for each in site.services]
    return b"\n".join([*lines, b""])


def _line(name: str, value: Service | list[Workload]) -> bytes:
    return name.encode() + b"\t" + _encode(value)


def decode(encoded: bytes) -> Snapshot:
    """Return the snapshot that *encoded* is; StateError when it is none, or another version's."""
    head, *lines = encoded.split(b"\n")
    try:
        site = _site.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"no compiled site: {error}") from None
    if site.format != FORMAT:
        raise StateError(f"a compiled site of format {site.format}; this version reads {FORMAT}")
    if not lines or lines.pop():
        raise StateError("no compiled site: its last line is cut off")
    workloads: dict[str, bytes] = {}
    services: dict[Key, bytes] = {}
    for line in lines:
        name, tab, rest = line.partition(b"\t")
        if not tab:
            raise StateError(f"no compiled site: a line starts with {line[:40]!r}")
        namespace, slash, own = name.decode().partition("/")
        if slash:
            services[namespace, own] = rest
        else:
            workloads[namespace] = rest
    return Snapshot(site, workloads, services)


def changed(old: Snapshot, new: Snapshot) -> set[Key]:
    """Return the services that differ between *old* and *new*, those of only one of them too."""
    before, after = old.services, new.services
    differ = {key for key, line in after.items() if before.get(key) != line}
    return differ | (before.keys() - after.keys())
