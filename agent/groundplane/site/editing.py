"""Edits a snapshot: the bytes that `encode` returns for the changed site, at the cost of the change."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from groundplane.site.blocks import Block, Key, Kind, LineKey, quoted
from groundplane.site.compiled import FilePlaces, Probe, Service, Site, Workload
from groundplane.site.encoding import (
    blocks_of_lines,
    encode_line,
    join,
    place_blocks,
    workload_blocks,
)
from groundplane.site.snapshot import Snapshot

Lines = dict[LineKey, bytes | None]  # the new line of each key, None for one that is gone

_NO_BLOCK: Final = Block(b"", LineKey(Kind.SERVICE, "", ""), 0, b"")


def edited(
    old: Snapshot,
    head: Site,
    workloads: Mapping[str, Sequence[Workload]],
    probes: Mapping[Key, Probe | None],
    services: Mapping[Key, Service | None],
    places: Mapping[str, FilePlaces | None],
) -> bytes:
    """Return *old* encoded with another *head* and these values; None is a value that is gone.

    *workloads* has all workloads of each node of which one has changed, in the order of their keys;
    *places* those of changed files, by their paths.
    """
    by_kind: dict[Kind, list[Block]] = {kind: [] for kind in Kind}
    for block in old.blocks:
        by_kind[block.first.kind].append(block)
    blocks = _with_workloads(by_kind[Kind.WORKLOADS], workloads)
    for kind, changed in ((Kind.PROBE, probes), (Kind.SERVICE, services)):
        lines = {LineKey(kind, *key): value for key, value in changed.items()}
        blocks += _with_lines(
            by_kind[kind],
            {key: encode_line(key, value) if value else None for key, value in lines.items()},
        )
    known = {key.name: block for block in by_kind[Kind.PLACES] for key in (block.first,)}
    for path in places:
        known.pop(quoted(path), None)
    changed_places = place_blocks(each for each in places.values() if each)
    blocks += sorted([*known.values(), *changed_places], key=lambda block: block.first)
    bare = msgspec.structs.replace(head, services=(), workloads=(), probes=(), places=())
    return join(bare, blocks)


def _with_workloads(
    blocks: Sequence[Block], changed: Mapping[str, Sequence[Workload]]
) -> list[Block]:
    kept = [block for block in blocks if block.first.name not in changed]
    new = workload_blocks(each for workloads in changed.values() for each in workloads)
    return sorted([*kept, *new], key=lambda block: block.first)


def _with_lines(blocks: Sequence[Block], changes: Lines) -> Iterator[Block]:
    """Yield *blocks*, all of one kind, with *changes*; blocks without a change as they are."""
    firsts = [block.first for block in blocks]
    by_block: dict[int, Lines] = defaultdict(dict)
    for key, line in changes.items():
        index = max(0, bisect_right(firsts, key) - 1)
        by_block[index][key] = line
        if index and line is None and key == firsts[index]:
            by_block[index - 1]  # takes what is left of a block that loses its first line
    index = 0
    while index < max(1, len(blocks)):
        if index not in by_block:
            yield from blocks[index : index + 1]
            index += 1
            continue
        known: dict[LineKey, bytes] = {}
        while index in by_block:
            block = blocks[index] if blocks else _NO_BLOCK
            known.update((_key(line), line) for line in block.lines.splitlines(keepends=True))
            for key, new in by_block[index].items():
                if new is None:
                    known.pop(key, None)
                else:
                    known[key] = new
            index += 1
        yield from blocks_of_lines(sorted(known.items()))


def _key(line: bytes) -> LineKey:
    return LineKey.parsed(line[: line.index(b"\t")].decode())
