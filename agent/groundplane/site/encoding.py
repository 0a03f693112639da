"""Encodes a compiled site in the format of snapshot.py."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, TypeVar
from zlib import crc32

import msgspec

from groundplane.site.blocks import Block, Kind, LineKey, digest_of, quoted
from groundplane.site.compiled import FilePlaces, Probe, Service, Site, Workload

V = TypeVar("V", Service, Probe)
_PER_BLOCK: Final = 32  # services or probes, on average
_encode: Final = msgspec.json.Encoder().encode


def encode(site: Site) -> bytes:
    """Return *site* as bytes: equal sites give equal bytes."""
    blocks = [*workload_blocks(site.workloads)]
    blocks += _blocks((LineKey(Kind.PROBE, *each.key), each) for each in _sorted(site.probes))
    blocks += blocks_of(_sorted(site.services))
    blocks += place_blocks(site.places)
    bare = msgspec.structs.replace(site, services=(), workloads=(), probes=(), places=())
    return join(bare, blocks)


def place_blocks(places: Iterable[FilePlaces]) -> Iterator[Block]:
    """Yield the block of each file."""
    lines = {LineKey(Kind.PLACES, "", quoted(each.path)): each for each in places}
    for key, each in sorted(lines.items()):
        yield _block([encode_line(key, each.objects)], key)


def workload_blocks(workloads: Iterable[Workload]) -> Iterator[Block]:
    """Yield a block for each node that has any of *workloads*."""
    by_node: dict[str, list[Workload]] = defaultdict(list)
    for workload in workloads:
        by_node[workload.node].append(workload)
    for node in sorted(by_node):
        key = LineKey(Kind.WORKLOADS, "", node)
        yield _block([encode_line(key, by_node[node])], key)


def _sorted(values: Sequence[V]) -> list[V]:
    return sorted(values, key=attrgetter("key"))


def join(head: Site, blocks: Sequence[Block]) -> bytes:
    """Return the snapshot of *head* and *blocks*."""
    header = b"\n".join([_encode(head), *(block.entry for block in blocks), b"\n"])
    title = f"groundplane-site {head.format} {hashlib.sha256(header).hexdigest()}\n"
    return b"".join([title.encode(), header, *(block.lines for block in blocks)])


def blocks_of(services: Iterable[Service]) -> Iterator[Block]:
    """Return the blocks of *services*, which are in the order of their keys."""
    return _blocks((LineKey(Kind.SERVICE, *each.key), each) for each in services)


def _blocks(values: Iterable[tuple[LineKey, Service | Probe]]) -> Iterator[Block]:
    return blocks_of_lines((key, encode_line(key, each)) for key, each in values)


def blocks_of_lines(lines_by_key: Iterable[tuple[LineKey, bytes]]) -> Iterator[Block]:
    """Yield the blocks of lines that are in the order of their keys, all of services or of probes."""
    first: LineKey | None = None
    lines: list[bytes] = []
    for key, line in lines_by_key:
        if first and crc32(f"{key.text}\t".encode()) % _PER_BLOCK == 0:
            yield _block(lines, first)
            first, lines = None, []
        first = first or key
        lines.append(line)
    if first:
        yield _block(lines, first)


def _block(lines: Sequence[bytes], first: LineKey) -> Block:
    joined = b"".join(lines)
    entry = f"{first.text} {len(lines)} {len(joined)} {digest_of(joined)}"
    return Block(entry.encode(), first, len(lines), joined)


def encode_line(
    key: LineKey, value: Service | Probe | list[Workload] | dict[str, list[str]]
) -> bytes:
    """Return the line of *key* with *value*."""
    return f"{key.text}\t".encode() + _encode(value) + b"\n"
