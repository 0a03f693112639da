"""Verifies blocks of a snapshot and decodes their values: each is one that a document can yield. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import lt
from typing import Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

import msgspec

from groundplane.errors import StateError, printable, shortened
from groundplane.site.blocks import Block, Kind, LineKey, digest_of
from groundplane.site.compiled import Probe, Service, Site, Workload
from groundplane.site.ends import Ends, common_ends
from groundplane.site.faults import (
    places_faults,
    probe_faults,
    service_faults,
    workloads_faults,
)

T = TypeVar("T")
SITE: Final = msgspec.json.Decoder(Site)
SERVICE: Final = msgspec.json.Decoder(Service)
PROBE: Final = msgspec.json.Decoder(Probe)
WORKLOADS: Final = msgspec.json.Decoder(tuple[Workload, ...])
PLACES: Final = msgspec.json.Decoder(dict[str, list[str]])


def decode_value(decoder: "msgspec.json.Decoder[T]", encoded: bytes) -> T:
    """Return the value that *encoded* is; StateError if *decoder* does not take it."""
    try:
        return decoder.decode(encoded)
    except ValueError as error:  # msgspec's are, and what is not UTF-8
        raise StateError(f"not a compiled site: {error}") from None


def verified(block: Block, known: Sequence[bytes] = ()) -> tuple[list[bytes], Ends]:
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


def require_order(blocks: Sequence[Block]) -> None:
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


def require_canonical(key: LineKey, line: bytes) -> Service | None:
    """Raise StateError if the value of *line* has another key, or is one that `check` rejects.

    Return the value if it is a service.
    """
    value, what = line[line.index(b"\t") :], key.text
    service = None
    if key.kind is Kind.WORKLOADS:
        workloads = decode_value(WORKLOADS, value)
        require(workloads_faults(workloads), what)
        is_its_own = {key.name} == {workload.node for workload in workloads}
    elif key.kind is Kind.PLACES:
        objects = decode_value(PLACES, value)
        require(places_faults(objects), what)
        is_its_own = key.name == quote(unquote_to_bytes(key.name), safe="")
    elif key.kind is Kind.PROBE:
        probe = decode_value(PROBE, value)
        require(probe_faults(probe), what)
        is_its_own = key.named == probe.key
    else:
        service = decode_value(SERVICE, value)
        require(service_faults(service), what)
        is_its_own = key.named == service.key
    if not is_its_own:
        raise StateError(printable(f"not a compiled site: {what} has another one's value"))
    return service


def require(faults: Iterator[tuple[str, str]], what: str) -> None:
    """Raise StateError for the first of *faults*, each a field and what is wrong with it, in *what*."""
    for field_, fault in faults:
        raise StateError(printable(f"not a compiled site: {what}: {field_}: {shortened(fault)}"))
