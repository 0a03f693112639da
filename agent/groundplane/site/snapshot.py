"""The compiled site as bytes: a header that names every block by its digest, and the blocks.

    groundplane-site 4 <SHA-256 of what follows, down to the empty line>
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
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from operator import attrgetter, lt
from typing import Final, TypeVar

import msgspec

from groundplane.errors import StateError, printable, shortened
from groundplane.site.blocks import Block, Key, Kind, LineKey, digest_of
from groundplane.site.compiled import FORMAT, Probe, Service, Site, Workload
from groundplane.site.faults import probe_faults, service_faults, site_faults, workloads_faults

T = TypeVar("T")
_TITLE: Final = re.compile(rb"groundplane-site ([0-9]{1,9}) ([0-9a-f]{64})\n")
_ENTRY: Final = re.compile(rb"([!-.0-~]*/[!-~]+) ([0-9]{1,9}) ([0-9]{1,9}) ([0-9a-f]{32})")
_CUT: Final = "not a compiled site: it is cut off, or has something behind its end"


_site: Final = msgspec.json.Decoder(Site)
_service: Final = msgspec.json.Decoder(Service)
_probe: Final = msgspec.json.Decoder(Probe)
_workloads: Final = msgspec.json.Decoder(tuple[Workload, ...])


@dataclass(frozen=True)
class Snapshot:
    """A compiled site; only *head* is decoded, not workloads, probes and services."""

    head: Site
    blocks: Sequence[Block] = field(repr=False)
    encoded_head: bytes = field(default=b"", repr=False)
    # Services of the last change, which were decoded for validation.
    decoded: Mapping[Key, Service] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """Return the number of services."""
        return sum(block.length for block in self.blocks if _of_services(block))

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
        return _every(_service, filter(_of_services, self.blocks))

    def every_probe(self) -> Iterator[Probe]:
        return _every(_probe, filter(_of_probes, self.blocks))

    def workload_blocks(self) -> Iterator[Block]:
        """Yield the block of each node that has workloads."""
        return takewhile(_of_workloads, self.blocks)

    def every_node_workloads(self) -> Iterator[tuple[Workload, ...]]:
        """Yield the workloads of each node that has any."""
        return map(workloads_in, self.workload_blocks())

    def _value(self, key: LineKey) -> bytes:
        index = bisect_right(self.blocks, key, key=attrgetter("first")) - 1
        if index < 0:
            return b""
        lines, name = self.blocks[index].lines, f"{key.text}\t".encode()
        start = lines.find(b"\n" + name) + 1
        if not start and not lines.startswith(name):
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


def _of_workloads(block: Block) -> bool:
    return block.first.kind is Kind.WORKLOADS


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
    for index in range(len(blocks)):
        _verified(blocks, index)


def verify_values(encoded: bytes) -> None:
    """Raise StateError as `verify` does, and for a value that no document can yield.

    For snapshots that somebody else encoded, if none is in use that `advance` could compare with.
    """
    blocks = decode(encoded).blocks
    for index in range(len(blocks)):
        for key, line in _by_key(_verified(blocks, index)).items():
            _require_canonical(key, line)


def decode(encoded: bytes) -> Snapshot:
    """Return the snapshot in *encoded*; StateError if it is invalid or has another format version.

    Its blocks are not verified: see `verify`.
    """
    return _decode(encoded, {})[0]


def advance(old: Snapshot, encoded: bytes) -> tuple[Snapshot, set[Key]]:
    """Return the snapshot in *encoded*, and the services in which it differs from *old*.

    Verifies blocks that *old* does not have, and validates the values that differ.
    """
    left = {block.entry: block for block in old.blocks}
    snapshot, made = _decode(encoded, left, old)
    new_lines = {line for index in made for line in _verified(snapshot.blocks, index)}
    old_lines = _lines(left.values())
    gone, new = _by_key(old_lines - new_lines), _by_key(new_lines - old_lines)
    services = (_require_canonical(key, line) for key, line in new.items())
    decoded = {service.key: service for service in services if service}
    differing = gone.keys() | new.keys()
    keys = {key.named for key in differing if key.kind is Kind.SERVICE}
    return replace(snapshot, decoded=decoded), keys


def changed_probes(old: Snapshot, new: Snapshot) -> set[Key]:
    """Return the workloads whose probes changed, appeared or disappeared from *old* to *new*."""
    return {key.named for key in _differing(old, new, _of_probes)}


def changed_workloads(old: Snapshot, new: Snapshot) -> dict[str, Block | None]:
    """Return the new block of each node whose workloads differ between *old* and *new*.

    It is None for a node that has no workloads any more.
    """
    before, after = (
        {block.first.name: block for block in each.workload_blocks()} for each in (old, new)
    )
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


def _decode(
    encoded: bytes, left: dict[bytes, Block], old: Snapshot | None = None
) -> tuple[Snapshot, list[int]]:
    """Return the snapshot, and the indices of its blocks that *old* does not have.

    It shares the head and blocks with *old*, and removes the shared blocks from *left*.
    """
    encoded_head, entries, at = _header(encoded)
    if old and encoded_head == old.encoded_head:
        head = old.head
    else:
        head = _decoded(_site, encoded_head)
        _require(site_faults(head), "the site")
    blocks: list[Block] = []
    made: list[int] = []
    for entry in entries:
        block = left.pop(entry, None)
        if block is None:
            block = _found(entry, encoded, at)
            made.append(len(blocks))
        blocks.append(block)
        at += len(block.lines)
    if at != len(encoded):
        raise StateError(_CUT)
    return Snapshot(head, blocks, encoded_head), made


def _found(entry: bytes, encoded: bytes, start: int) -> Block:
    """Return the block of *encoded* that *entry* describes."""
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise StateError(f"not a compiled site: a block is described as {entry[:80]!r}")
    lines = encoded[start : start + int(match[3])]
    if len(lines) != int(match[3]):
        raise StateError(_CUT)
    return Block(entry, LineKey.parsed(match[1].decode()), int(match[2]), lines)


def _verified(blocks: Sequence[Block], index: int) -> list[bytes]:
    """Return the lines of a block; StateError if it does not match its header entry.

    Lookups need sorted lines, also across the neighbouring blocks; this is verified, too.
    """
    block, where = blocks[index], blocks[index].first.text
    if digest_of(block.lines).encode() != block.entry[-32:]:
        raise StateError(f"not a compiled site: what begins at {where} does not match its digest")
    lines = block.lines.splitlines()
    try:
        keys = [line[: line.index(b"\t")] for line in lines]
    except ValueError:
        raise StateError("not a compiled site: a line has no key") from None
    firsts = [each.first.text.encode() for each in blocks[index : index + 2]]
    # A namespace sorts before longer ones that it is a prefix of, but "-" sorts before "/".
    names = b"\n".join((*keys, *firsts[1:])).replace(b"/", b"\0").split(b"\n")
    in_order = all(map(lt, names, names[1:]))
    if len(lines) != block.length or keys[:1] != firsts[:1] or not in_order:
        raise StateError(f"not a compiled site: what begins at {where} is not in order")
    return lines


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
    if int(title[1]) != FORMAT:
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
