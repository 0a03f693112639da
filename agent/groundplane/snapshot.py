"""The compiled site as bytes: a line for the site, one for each node's workloads and each service.

What changed between two snapshots is found by comparing lines, and only the lines that a node
needs and that did change are decoded: a service that comes or goes costs what it costs, not what
the site does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
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
    lines: Sequence[bytes] = field(repr=False)
    workloads: Mapping[str, bytes] = field(repr=False)  # lines, by their node
    services: Mapping[Key, bytes] = field(repr=False)

    def site(self, node: str) -> Site:
        """Return the site as *node* needs it: with its own workloads, and without services."""
        line = self.workloads.get(node, b"\t[]")
        return msgspec.structs.replace(self.head, workloads=_workloads.decode(_value(line)))

    def service(self, key: Key) -> Service:
        """Return the service *key*; KeyError when the site has none of that name."""
        return _service.decode(_value(self.services[key]))

    def every_service(self) -> Iterable[Service]:
        return map(_service.decode, map(_value, self.services.values()))


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


def _value(line: bytes) -> bytes:
    return line[line.index(b"\t") + 1 :]


def decode(encoded: bytes) -> Snapshot:
    """Return the snapshot that *encoded* is; StateError when it is none, or another version's."""
    head, lines = _split(encoded)
    return Snapshot(head, lines, *_by_name(lines))


def advance(old: Snapshot, encoded: bytes) -> tuple[Snapshot, set[Key]]:
    """Return the snapshot that *encoded* is, and the services in which it differs from *old*.

    The lines that both have in the same order at the beginning and at the end are not looked into.
    """
    head, lines = _split(encoded)
    first = _common(old.lines, lines)
    left = min(len(old.lines), len(lines)) - first
    last = _common(islice(reversed(old.lines), left), islice(reversed(lines), left))
    gone_nodes, gone = _by_name(old.lines[first : len(old.lines) - last])
    new_nodes, new = _by_name(lines[first : len(lines) - last])
    workloads = {k: v for k, v in old.workloads.items() if k not in gone_nodes} | new_nodes
    services = dict(old.services)
    for key in gone.keys() - new.keys():
        del services[key]
    services |= new
    differ = {key for key in gone.keys() | new.keys() if gone.get(key) != new.get(key)}
    return Snapshot(head, lines, workloads, services), differ


def _common(one: Iterable[bytes], other: Iterable[bytes]) -> int:
    """Return how many lines both begin with."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _split(encoded: bytes) -> tuple[Site, list[bytes]]:
    first, *lines = encoded.split(b"\n")
    try:
        head = _site.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"no compiled site: {error}") from None
    if head.format != FORMAT:
        raise StateError(f"a compiled site of format {head.format}; this version reads {FORMAT}")
    if not lines or lines.pop():
        raise StateError("no compiled site: its last line is cut off")
    return head, lines


def _by_name(lines: Iterable[bytes]) -> tuple[dict[str, bytes], dict[Key, bytes]]:
    workloads: dict[str, bytes] = {}
    services: dict[Key, bytes] = {}
    for namespace, name, line in _named(lines):
        if name:
            services[namespace, name] = line
        else:
            workloads[namespace] = line
    return workloads, services


def _named(lines: Iterable[bytes]) -> Iterator[tuple[str, str, bytes]]:
    for line in lines:
        name, tab, _ = line[:_LONGEST_NAME].partition(b"\t")
        if not tab:
            raise StateError(f"no compiled site: a line starts with {line[:40]!r}")
        namespace, _, own = name.decode().partition("/")
        yield namespace, own, line


_LONGEST_NAME: Final = 512  # of a namespace and a service, with room
