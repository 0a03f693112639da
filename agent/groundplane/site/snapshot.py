"""The compiled site as bytes: a header that names every block by its digest, and the blocks.

    groundplane-site 7 <SHA-256 of what follows, down to the empty line>
    the site, without workloads, probes and services, as JSON
    for each block: its first key, how many lines and bytes it has, and its digest
    an empty line
    blocks of lines, each a key, a tab and a value as JSON, in the order of their keys

Each node's workloads are one block. Digests of the names of probes and services decide where their
blocks begin, so that adding or removing one changes one block. Comparing the headers of two
snapshots finds the differences, and only changed lines that a node needs are decoded: the cost is
proportional to the change, not to the site.
"""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from operator import attrgetter
from typing import Final, TypeVar

import msgspec

from groundplane.errors import StateError, printable
from groundplane.site.blocks import Block, Key, Kind, LineKey, unquoted
from groundplane.site.compiled import FORMAT, READABLE, Probe, Service, Site, Workload
from groundplane.site.ends import Ends, common_ends
from groundplane.site.faults import site_faults, workloads_faults
from groundplane.site.verification import (
    PLACES,
    PROBE,
    SERVICE,
    SITE,
    WORKLOADS,
    decode_value,
    require,
    require_canonical,
    require_order,
    verified,
)

T = TypeVar("T")
_FIRST, _LENGTH, _KIND = attrgetter("first"), attrgetter("length"), attrgetter("first.kind")
_TITLE: Final = re.compile(rb"groundplane-site ([0-9]{1,9}) ([0-9a-f]{64})\n")
_ENTRY: Final = re.compile(rb"([!-.0-~]*/[!-~]+) ([0-9]{1,9}) ([0-9]{1,9}) ([0-9a-f]{32})")
_CUT: Final = "not a compiled site: it is cut off, or has something behind its end"


_LOOKED_UP: Final = 20  # subjects that are looked for one by one


@dataclass(frozen=True)
class Snapshot:
    """A compiled site; only *head* is decoded, not workloads, probes and services."""

    head: Site
    blocks: Sequence[Block] = field(repr=False)
    encoded_head: bytes = field(default=b"", repr=False)
    # Of the blocks: their entries in the header, and their sizes in bytes.
    entries: Sequence[bytes] = field(default=(), repr=False, compare=False)
    sizes: Sequence[int] = field(default=(), repr=False, compare=False)
    # Services of the last change, which were decoded for validation.
    decoded: Mapping[Key, Service] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def service_count(self) -> int:
        found = self.blocks[self._first(Kind.SERVICE) : self._first(Kind.PLACES)]
        return sum(map(_LENGTH, found))

    def site(self, node: str) -> Site:
        """Return the site for *node*: with its own workloads, and without services."""
        return msgspec.structs.replace(self.head, workloads=self.node_workloads(node))

    def workloads(self, node: str) -> bytes:
        """Return the workloads of *node*, still encoded; b"" for none."""
        return self._value(LineKey(Kind.WORKLOADS, "", node))

    def node_workloads(self, node: str) -> tuple[Workload, ...]:
        """Return the workloads of *node*; StateError for an invalid value, since root uses them."""
        found = decode_value(WORKLOADS, self.workloads(node) or b"[]")
        require(workloads_faults(found), f"the workloads of {node}")
        return found

    def service(self, key: Key) -> Service | None:
        """Return the service *key*; None if the site does not have it."""
        if (found := self.decoded.get(key)) is not None:
            return found
        value = self._value(LineKey(Kind.SERVICE, *key))
        return decode_value(SERVICE, value) if value else None

    def probe(self, key: Key) -> Probe | None:
        """Return the probe of the workload *key*; None if the site does not have one."""
        value = self._value(LineKey(Kind.PROBE, *key))
        return decode_value(PROBE, value) if value else None

    def every_service(self) -> Iterator[Service]:
        return self.services_as(SERVICE)

    def services_as(self, decoder: "msgspec.json.Decoder[T]") -> Iterator[T]:
        """Yield what *decoder* takes of each service."""
        return _every(decoder, filter(_of_services, self.blocks))

    def every_probe(self) -> Iterator[Probe]:
        return _every(PROBE, filter(_of_probes, self.blocks))

    def workload_blocks(self) -> Iterator[Block]:
        """Yield the block of each node that has workloads."""
        return islice(self.blocks, self._first(Kind.PROBE))

    def every_node_workloads(self) -> Iterator[tuple[Workload, ...]]:
        """Yield the workloads of each node that has any."""
        return map(workloads_in, self.workload_blocks())

    def places(self, subjects: Collection[str]) -> dict[str, str]:
        """Return where each of *subjects* (`Service/default/web`) is written, if a file has it.

        A place is the file and the line, and for an item of a List its path in the document.
        """
        names: dict[str, set[str]] = defaultdict(set)
        for subject in subjects:
            kind, _, name = subject.rpartition("/")
            names[kind].add(name)
        found: dict[str, str] = {}
        for block in self.blocks[self._first(Kind.PLACES) :]:
            for kind, wanted in names.items():
                if f'"{kind}"'.encode() in block.lines:
                    found |= _places_in(block, kind, wanted)
        return found

    def _first(self, kind: Kind) -> int:
        """Return where the blocks of *kind* begin."""
        return bisect_left(self.blocks, kind, key=_KIND)

    def _value(self, key: LineKey) -> bytes:
        index = bisect_right(self.blocks, key, key=_FIRST) - 1
        if index < 0:
            return b""
        lines, name = self.blocks[index].lines, f"{key.text}\t".encode()
        start = 0
        if not lines.startswith(name) and not (start := lines.find(b"\n" + name) + 1):
            return b""
        return lines[start + len(name) : lines.index(b"\n", start)]


def _every(decoder: "msgspec.json.Decoder[T]", blocks: Iterable[Block]) -> Iterator[T]:
    try:
        for block in blocks:
            for line in block.lines.splitlines():
                yield decoder.decode(line[line.index(b"\t") :])
    except ValueError as error:
        raise StateError(f"not a compiled site: {error}") from None


def _places_in(block: Block, kind: str, names: AbstractSet[str]) -> dict[str, str]:
    """Return the places of the objects *names* of *kind* that the file of *block* has."""
    if len(names) <= _LOOKED_UP and not any(f'"{each} '.encode() in block.lines for each in names):
        return {}
    objects = decode_value(PLACES, block.lines[block.lines.index(b"\t") :])
    entries = (entry.partition(" ") for entry in objects.get(kind, ()))
    file = printable(unquoted(block.first.name))
    return {f"{kind}/{name}": f"{file}:{at}" for name, _, at in entries if name in names}


def _of_probes(block: Block) -> bool:
    return block.first.kind is Kind.PROBE


def _of_services(block: Block) -> bool:
    return block.first.kind is Kind.SERVICE


def revision_of(encoded: bytes) -> str:
    """Return the name of a compiled site: 12 digits of the digest that covers all of it.

    StateError if *encoded* is not a snapshot, or has another format version.
    """
    return _title(encoded)[1][:12]


def verify(encoded: bytes) -> None:
    """Raise StateError if *encoded* was altered by even one bit."""
    blocks = decode(encoded).blocks
    require_order(blocks)
    for block in blocks:
        verified(block)


def verify_values(encoded: bytes) -> None:
    """Raise StateError as `verify` does, and for a value that no document can yield.

    For snapshots that somebody else encoded, if none is in use that `advance` could compare with.
    """
    blocks = decode(encoded).blocks
    require_order(blocks)
    for block in blocks:
        for key, line in _by_key(verified(block)[0]).items():
            require_canonical(key, line)


def decode(encoded: bytes) -> Snapshot:
    """Return the snapshot in *encoded*; StateError if it is invalid or has another format version.

    Its blocks are not verified: see `verify`.
    """
    return _decode(encoded, None)[0]


def advance(old: Snapshot, encoded: bytes) -> tuple[Snapshot, set[Key]]:
    """Return the snapshot in *encoded*, and the services in which it differs from *old*.

    Verifies blocks that *old* does not have, and validates the values that differ.
    """
    snapshot, same = _decode(encoded, old)
    start, end = same.start, len(snapshot.blocks) - same.end
    require_order(snapshot.blocks[max(0, start - 1) : end + 1])
    left = {each.entry: each for each in old.blocks[start : len(old.blocks) - same.end]}
    made = [each for each in snapshot.blocks[start:end] if left.pop(each.entry, None) is None]
    before = {block.first: block for block in left.values()}
    old_lines, new_lines = set[bytes](), set[bytes]()
    for new in made:
        block = before.pop(new.first, None)
        known = block.lines.splitlines() if block else []
        lines, alike = verified(new, known)
        old_lines.update(known[alike.start : len(known) - alike.end])
        new_lines.update(lines[alike.start : len(lines) - alike.end])
    old_lines |= _lines(before.values())
    gone, came = _by_key(old_lines - new_lines), _by_key(new_lines - old_lines)
    services = (require_canonical(key, line) for key, line in came.items())
    decoded = {service.key: service for service in services if service}
    differing = gone.keys() | came.keys()
    keys = {key.named for key in differing if key.kind is Kind.SERVICE}
    return replace(snapshot, decoded=decoded), keys


def changed_probes(old: Snapshot, new: Snapshot) -> set[Key]:
    """Return the workloads whose probes changed, appeared or disappeared from *old* to *new*."""
    before, after = (
        {block.entry: block for block in filter(_of_probes, each.blocks)} for each in (old, new)
    )
    gone = _lines(before[entry] for entry in before.keys() - after.keys())
    made = _lines(after[entry] for entry in after.keys() - before.keys())
    return {key.named for key in _by_key(gone ^ made)}


def changed_workloads(old: Snapshot, new: Snapshot) -> dict[str, Block | None]:
    """Return the new block of each node whose workloads differ between *old* and *new*.

    It is None for a node that has no workloads any more.
    """
    blocks = [list(each.workload_blocks()) for each in (old, new)]
    if blocks[0] == blocks[1]:
        return {}
    before, after = ({block.first.name: block for block in each} for each in blocks)
    gone = dict.fromkeys(before.keys() - after.keys())
    return gone | {
        node: block
        for node, block in after.items()
        if node not in before or before[node].entry != block.entry
    }


def workloads_in(block: Block) -> tuple[Workload, ...]:
    """Return the workloads in the *block* of a node."""
    return next(_every(WORKLOADS, [block]))


def _decode(encoded: bytes, old: Snapshot | None) -> tuple[Snapshot, Ends]:
    """Return the snapshot, and how many of its first and last blocks are those of *old*.

    It shares its head and blocks with *old* where they are equal.
    """
    encoded_head, entries, at = _header(encoded)
    if old is not None and encoded_head == old.encoded_head:
        head = old.head
    else:
        head = decode_value(SITE, encoded_head)
        require(site_faults(head), "the site")
    old = old or Snapshot(head, ())
    same = common_ends(old.entries, entries)
    end = len(old.blocks) - same.end
    known = {each.entry: each for each in old.blocks[same.start : end]}
    blocks, sizes = [*old.blocks[: same.start]], [*old.sizes[: same.start]]
    at += sum(sizes)
    for entry in entries[same.start : len(entries) - same.end]:
        block = known.get(entry) or _found(entry, encoded, at)
        blocks.append(block)
        sizes.append(len(block.lines))
        at += sizes[-1]
    blocks += old.blocks[end:]
    sizes += old.sizes[end:]
    if at + sum(old.sizes[end:]) != len(encoded):
        raise StateError(_CUT)
    return Snapshot(head, blocks, encoded_head, entries, sizes), same


def _found(entry: bytes, encoded: bytes, start: int) -> Block:
    """Return the block of *encoded* that *entry* describes."""
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise StateError(f"not a compiled site: a block is described as {entry[:80]!r}")
    lines = encoded[start : start + int(match[3])]
    if len(lines) != int(match[3]):
        raise StateError(_CUT)
    return Block(entry, LineKey.parsed(match[1].decode()), int(match[2]), lines)


def _lines(blocks: Iterable[Block]) -> set[bytes]:
    return {line for block in blocks for line in block.lines.splitlines()}


def _by_key(lines: Iterable[bytes]) -> dict[LineKey, bytes]:
    """Return *lines* by their keys."""
    found = {}
    try:
        for line in lines:
            found[LineKey.parsed(line[: line.index(b"\t")].decode())] = line
    except ValueError:
        raise StateError("not a compiled site: a line has no key") from None
    return found


def _title(encoded: bytes) -> tuple[int, str]:
    """Return the end of the first line, and the digest in it."""
    title = _TITLE.match(encoded)
    if title is None:
        raise StateError(f"not a compiled site: it begins with {encoded[:40].strip()!r}")
    if int(title[1]) not in READABLE:
        raise StateError(f"a compiled site of format {int(title[1])}; this version reads {FORMAT}")
    return title.end(), title[2].decode()


def _header(encoded: bytes) -> tuple[bytes, list[bytes], int]:
    """Return the encoded site, the entries of the blocks, and the offset of the first block."""
    start, digest = _title(encoded)
    end = encoded.find(b"\n\n", start) + 2
    if end < 2 or hashlib.sha256(encoded[start:end]).hexdigest() != digest:
        raise StateError("not a compiled site: its header does not match its digest")
    head, *entries = encoded[start : end - 2].split(b"\n")
    return head, entries, end
