"""The compiled site as bytes: a line for the site, one for each node's workloads and each service.

What changed between two snapshots is found by comparing blocks of lines, and only the lines that a
node needs and that did change are decoded: a service that comes or goes costs what it costs, not
what the site does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import msgspec

from groundplane.errors import StateError
from groundplane.model.compiled import FORMAT, Service, Site, Workload

T = TypeVar("T")
Key = tuple[str, str]  # namespace and name of a service

_BLOCK_BYTES: Final = 16 << 10
_TRIES: Final = 8  # blocks whose first service may be gone, before the rest counts as changed

_encode: Final = msgspec.json.Encoder().encode
_site: Final = msgspec.json.Decoder(Site)
_service: Final = msgspec.json.Decoder(Service)
_workloads: Final = msgspec.json.Decoder(tuple[Workload, ...])


class Span(NamedTuple):
    """A value in a block of lines: what it is, still encoded."""

    block: bytes
    start: int
    end: int

    @property
    def value(self) -> bytes:
        return self.block[self.start : self.end]


@dataclass(frozen=True)
class Snapshot:
    """A compiled site, its services and workloads still encoded. *head* has none of either."""

    head: Site
    blocks: Sequence[bytes] = field(repr=False)  # whole lines, all but the head
    workloads: Mapping[str, Span] = field(repr=False)  # by their node
    services: Mapping[Key, Span] = field(repr=False)

    def site(self, node: str) -> Site:
        """Return the site as *node* needs it: with its own workloads, and without services."""
        span = self.workloads.get(node)
        own = _decoded(_workloads, span.value) if span is not None else ()
        return msgspec.structs.replace(self.head, workloads=own)

    def service(self, key: Key) -> Service:
        """Return the service *key*; KeyError when the site has none of that name."""
        return _decoded(_service, self.services[key].value)

    def every_service(self) -> Iterator[Service]:
        service = _service.decode
        try:
            for block, start, end in self.services.values():
                yield service(block[start:end])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(f"no compiled site: {error}") from None


def _decoded(decoder: "msgspec.json.Decoder[T]", encoded: bytes) -> T:
    try:
        return decoder.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"no compiled site: {error}") from None


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
    head, start = _head(encoded)
    blocks = list(_blocks(encoded, start, len(encoded)))
    return Snapshot(head, blocks, *_spans(blocks))


def advance(old: Snapshot, encoded: bytes) -> tuple[Snapshot, set[Key]]:
    """Return the snapshot that *encoded* is, and the services in which it differs from *old*."""
    head, offset = _head(encoded)
    blocks: list[bytes] = []
    gone: list[bytes] = []
    new: list[bytes] = []
    index = 0
    while index < len(old.blocks):
        if encoded.startswith(old.blocks[index], offset):
            blocks.append(old.blocks[index])
            offset += len(old.blocks[index])
            index += 1
            continue
        following, end = _resumption(old.blocks, index + 1, encoded, offset)
        gone += old.blocks[index:following]
        made = list(_blocks(encoded, offset, end))
        blocks += made
        new += made
        index, offset = following, end
    made = list(_blocks(encoded, offset, len(encoded)))
    return _replaced(old, head, [*blocks, *made], gone, [*new, *made])


def _resumption(
    blocks: Sequence[bytes], index: int, encoded: bytes, offset: int
) -> tuple[int, int]:
    """Return from which of *blocks* on, and from where in *encoded*, the two go on together."""
    for following in range(index, min(index + _TRIES, len(blocks))):
        name = blocks[following][: blocks[following].index(b"\t") + 1]
        at = encoded.find(b"\n" + name, max(offset - 1, 0))
        if at >= 0:
            return following, at + 1
    return len(blocks), len(encoded)


def _replaced(
    old: Snapshot, head: Site, blocks: list[bytes], gone: list[bytes], new: list[bytes]
) -> tuple[Snapshot, set[Key]]:
    """Return *old* with the blocks *gone* replaced by *new*, and the services that differ."""
    old_nodes, old_services = _spans(gone)
    new_nodes, new_services = _spans(new)
    workloads, services = dict(old.workloads), dict(old.services)
    for node in old_nodes.keys() - new_nodes.keys():
        del workloads[node]
    for key in old_services.keys() - new_services.keys():
        del services[key]
    workloads |= new_nodes
    services |= new_services
    differ = {
        key
        for key in old_services.keys() | new_services.keys()
        if _value(old_services, key) != _value(new_services, key)
    }
    return Snapshot(head, blocks, workloads, services), differ


def _value(spans: Mapping[Key, Span], key: Key) -> bytes:
    return spans[key].value if key in spans else b""


def _head(encoded: bytes) -> tuple[Site, int]:
    """Return the site of the first line, and where the next one begins."""
    end = encoded.find(b"\n") + 1 or len(encoded)
    head = _decoded(_site, encoded[:end])
    if head.format != FORMAT:
        raise StateError(f"a compiled site of format {head.format}; this version reads {FORMAT}")
    if not encoded.endswith(b"\n"):
        raise StateError("no compiled site: its last line is cut off")
    return head, end


def _blocks(encoded: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield *encoded* from *start* to *end* in blocks of whole lines."""
    while start < end:
        near = encoded.find(b"\n", start + _BLOCK_BYTES, end) + 1 or end
        yield encoded[start:near]
        start = near


def _spans(blocks: Iterable[bytes]) -> tuple[dict[str, Span], dict[Key, Span]]:
    """Return where the workloads of each node and each service are in *blocks*."""
    workloads: dict[str, Span] = {}
    services: dict[Key, Span] = {}
    for block in blocks:
        start = 0
        for line in block.splitlines(keepends=True):
            end = start + len(line)
            name, tab, _ = line[:_LONGEST_NAME].partition(b"\t")
            if not (tab and name.isascii()):
                raise StateError(f"no compiled site: a line starts with {line[:40].strip()!r}")
            span = Span(block, start + len(name) + 1, end - 1)
            namespace, _, own = name.decode().partition("/")
            if (namespace, own) in services:
                raise StateError(f"no compiled site: {namespace}/{own} is there twice")
            if own:
                services[namespace, own] = span
            else:
                workloads[namespace] = span
            start = end
    return workloads, services


_LONGEST_NAME: Final = 160  # of a namespace and a service, with room
