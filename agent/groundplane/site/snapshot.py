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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, pairwise
from operator import attrgetter, lt
from typing import Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

import msgspec

from groundplane.errors import StateError, printable, shortened
from groundplane.site.blocks import Block, Key, Kind, LineKey, digest_of, unquoted
from groundplane.site.compiled import FORMAT, READABLE, Probe, Service, Site, Workload
from groundplane.site.ends import Ends, common_ends
from groundplane.site.faults import (
    places_faults,
    probe_faults,
    service_faults,
    site_faults,
    workloads_faults,
)

T = TypeVar("T")
_FIRST, _LENGTH, _KIND = attrgetter("first"), attrgetter("length"), attrgetter("first.kind")
_TITLE: Final = re.compile(rb"groundplane-site ([0-9]{1,9}) ([0-9a-f]{64})\n")
_ENTRY: Final = re.compile(rb"([!-.0-~]*/[!-~]+) ([0-9]{1,9}) ([0-9]{1,9}) ([0-9a-f]{32})")
_CUT: Final = "not a compiled site: it is cut off, or has something behind its end"


_site: Final = msgspec.json.Decoder(Site)
_service: Final = msgspec.json.Decoder(Service)
_probe: Final = msgspec.json.Decoder(Probe)
_workloads: Final = msgspec.json.Decoder(tuple[Workload, ...])
_places: Final = msgspec.json.Decoder(dict[str, list[str]])
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
        found = _decoded(_workloads, self.workloads(node) or b"[]")
        _require(workloads_faults(found), f"the workloads of {node}")
        return found

    def service(self, key: Key) -> Service | None:
        """Return the service *key*; None if the site does not have it."""
        if (found := self.decoded.get(key)) is not None:
            return found
        value = self._value(LineKey(Kind.SERVICE, *key))
        return _decoded(_service, value) if value else None

    def probe(self, key: Key) -> Probe | None:
        """Return the probe of the workload *key*; None if the site does not have one."""
        value = self._value(LineKey(Kind.PROBE, *key))
        return _decoded(_probe, value) if value else None

    def every_service(self) -> Iterator[Service]:
        return self.services_as(_service)

    def services_as(self, decoder: "msgspec.json.Decoder[T]") -> Iterator[T]:
        """Yield what *decoder* takes of each service."""
        return _every(decoder, filter(_of_services, self.blocks))

    def every_probe(self) -> Iterator[Probe]:
        return _every(_probe, filter(_of_probes, self.blocks))

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


def _decoded(decoder: "msgspec.json.Decoder[T]", encoded: bytes) -> T:
    try:
        return decoder.decode(encoded)
    except ValueError as error:  # msgspec's are, and what is not UTF-8
        raise StateError(f"not a compiled site: {error}") from None


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
    objects = _decoded(_places, block.lines[block.lines.index(b"\t") :])
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
    _require_order(blocks)
    for block in blocks:
        _verified(block)


def verify_values(encoded: bytes) -> None:
    """Raise StateError as `verify` does, and for a value that no document can yield.

    For snapshots that somebody else encoded, if none is in use that `advance` could compare with.
    """
    blocks = decode(encoded).blocks
    _require_order(blocks)
    for block in blocks:
        for key, line in _by_key(_verified(block)[0]).items():
            _require_canonical(key, line)


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
    _require_order(snapshot.blocks[max(0, start - 1) : end + 1])
    left = {each.entry: each for each in old.blocks[start : len(old.blocks) - same.end]}
    made = [each for each in snapshot.blocks[start:end] if left.pop(each.entry, None) is None]
    before = {block.first: block for block in left.values()}
    old_lines, new_lines = set[bytes](), set[bytes]()
    for new in made:
        block = before.pop(new.first, None)
        known = block.lines.splitlines() if block else []
        lines, alike = _verified(new, known)
        old_lines.update(known[alike.start : len(known) - alike.end])
        new_lines.update(lines[alike.start : len(lines) - alike.end])
    old_lines |= _lines(before.values())
    gone, came = _by_key(old_lines - new_lines), _by_key(new_lines - old_lines)
    services = (_require_canonical(key, line) for key, line in came.items())
    decoded = {service.key: service for service in services if service}
    differing = gone.keys() | came.keys()
    keys = {key.named for key in differing if key.kind is Kind.SERVICE}
    return replace(snapshot, decoded=decoded), keys


def changed_probes(old: Snapshot, new: Snapshot) -> set[Key]:
    """Return the workloads whose probes changed, appeared or disappeared from *old* to *new*."""
    return {key.named for key in _differing(old, new, _of_probes)}


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
    return next(_every(_workloads, [block]))


def _differing(old: Snapshot, new: Snapshot, kind: Callable[[Block], bool]) -> set[LineKey]:
    """Return the keys of the lines of *kind* in which *old* and *new* differ."""
    gone, made = _differences(old, new, kind)
    return gone.keys() | made.keys()


def _differences(
    old: Snapshot, new: Snapshot, kind: Callable[[Block], bool] = bool
) -> tuple[dict[LineKey, bytes], dict[LineKey, bytes]]:
    """Return by key the lines of *kind* that only *old* has, and those that only *new* has.

    Only their keys are parsed: most lines of a changed block are in both.
    """
    before, after = ({block.entry: block for block in each.blocks} for each in (old, new))
    gone = _lines(filter(kind, (before[entry] for entry in before.keys() - after.keys())))
    made = _lines(filter(kind, (after[entry] for entry in after.keys() - before.keys())))
    return _by_key(gone - made), _by_key(made - gone)


def _decode(encoded: bytes, old: Snapshot | None) -> tuple[Snapshot, Ends]:
    """Return the snapshot, and how many of its first and last blocks are those of *old*.

    It shares its head and blocks with *old* where they are equal.
    """
    encoded_head, entries, at = _header(encoded)
    if old is not None and encoded_head == old.encoded_head:
        head = old.head
    else:
        head = _decoded(_site, encoded_head)
        _require(site_faults(head), "the site")
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


def _verified(block: Block, known: Sequence[bytes] = ()) -> tuple[list[bytes], Ends]:
    """Return the lines of *block*, and how many at its ends are those of the verified lines *known*.

    StateError if it does not match its entry, or its lines are not in the order of their keys.
    """
    where = block.first.text
    if digest_of(block.lines).encode() != block.entry[-32:]:
        raise StateError(f"not a compiled site: what begins at {where} does not match its digest")
    lines = block.lines.splitlines()
    same = common_ends(known, lines)
    changed = lines[max(0, same.start - 1) : len(lines) - max(0, same.end - 1)]
    begins = block.lines.startswith(where.encode() + b"\t")
    if len(lines) != block.length or not begins or not _in_order(changed):
        raise _not_in_order(block)
    return lines, same


def _require_order(blocks: Sequence[Block]) -> None:
    """Raise StateError unless each of *blocks* ends before the next one begins.

    Lookups go to the last block that begins at their key or before it.
    """
    for block, after in pairwise(blocks):
        last = block.lines[block.lines.rfind(b"\n", 0, -1) + 1 :]
        if not _in_order([last, after.first.text.encode() + b"\t"]):
            raise _not_in_order(block)


def _not_in_order(block: Block) -> StateError:
    return StateError(f"not a compiled site: what begins at {block.first.text} is not in order")


def _in_order(lines: Sequence[bytes]) -> bool:
    """Return whether the keys of *lines* ascend; StateError if a line has none."""
    try:
        keys = [line[: line.index(b"\t")] for line in lines]
    except ValueError:
        raise StateError("not a compiled site: a line has no key") from None
    # A namespace sorts before longer ones that it is a prefix of, but "-" sorts before "/".
    names = b"\n".join(keys).replace(b"/", b"\0").split(b"\n")
    return all(map(lt, names, names[1:]))


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


def _require_canonical(key: LineKey, line: bytes) -> Service | None:
    """Raise StateError if the value of *line* has another key, or is one that `check` rejects.

    Return the value if it is a service.
    """
    value, what = line[line.index(b"\t") :], key.text
    service = None
    if key.kind is Kind.WORKLOADS:
        workloads = _decoded(_workloads, value)
        _require(workloads_faults(workloads), what)
        is_its_own = {key.name} == {workload.node for workload in workloads}
    elif key.kind is Kind.PLACES:
        objects = _decoded(_places, value)
        _require(places_faults(objects), what)
        is_its_own = key.name == quote(unquote_to_bytes(key.name), safe="")
    elif key.kind is Kind.PROBE:
        probe = _decoded(_probe, value)
        _require(probe_faults(probe), what)
        is_its_own = key.named == probe.key
    else:
        service = _decoded(_service, value)
        _require(service_faults(service), what)
        is_its_own = key.named == service.key
    if not is_its_own:
        raise StateError(printable(f"not a compiled site: {what} has another one's value"))
    return service


def _require(faults: Iterator[tuple[str, str]], what: str) -> None:
    for field_, fault in faults:
        raise StateError(printable(f"not a compiled site: {what}: {field_}: {shortened(fault)}"))


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
