"""Compiles a source with a cache: what the source has not changed is not compiled again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from groundplane.compile.cache import CompileCache
from groundplane.compile.change import Compiled, compile_change
from groundplane.compile.pipeline import compile_locked, compile_source, read_catalog, read_lock
from groundplane.compile.whole_needed import WholeNeeded
from groundplane.errors import Fault, SourceError
from groundplane.load.cost import room_in
from groundplane.load.documents import content_of
from groundplane.load.record import (
    FileRecord,
    RecordReader,
    decode_record,
    read_record,
    record_name,
)
from groundplane.load.tree import require_size, tree_of
from groundplane.processes.limits import doing, memory_limit
from groundplane.site.encoding import encode

_LAST: Final = "last"
_DECODER: Final = msgspec.msgpack.Decoder(Compiled)


def compile_encoded(source: Path, cache: CompileCache | None) -> bytes:
    """Return the snapshot of *source*: the same bytes, whatever *cache* has.

    Raises what `compile_source` does.
    """
    if cache is None:
        return encode(compile_source(source))
    last = _last(cache)
    found = _from_last(source, cache, last) if last is not None else None
    found = found or _whole(source, cache)
    if found is not last and all(found.files) and all(found.files.values()):
        cache.put(_LAST, msgspec.msgpack.encode(found))
        cache.keep_only({_LAST, *found.files.values()})
    return found.snapshot


def _last(cache: CompileCache) -> Compiled | None:
    kept = cache.get(_LAST)
    return _DECODER.decode(kept) if kept is not None else None


def _whole(source: Path, cache: CompileCache) -> Compiled:
    reader = RecordReader(cache)
    catalog = read_catalog(source, reader)
    lock = read_lock(source)
    site = compile_locked(source, catalog, lock)
    doing("writing the compiled site")
    files = {_encodable(path.relative_to(source)) or "": n for path, n in reader.names.items()}
    return Compiled(files, lock, encode(site))


def _encodable(path: Path) -> str | None:
    """Return *path* as text; None if its bytes are not UTF-8, which no cache entry can have."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def _from_last(source: Path, cache: CompileCache, last: Compiled) -> Compiled | None:
    """Return what *source* comes to by way of *last*; None if it must be compiled as a whole."""
    tree = tree_of(source)
    require_size(source, tree)
    if tree.faults:
        return None
    known, new = {*last.files.values()}, dict[str, FileRecord]()
    files: dict[str, str] = {}
    most_values = room_in(memory_limit()).values
    for path in tree.read:
        doing(f"reading {path}")
        content = content_of(path)
        if isinstance(content, Fault):
            return None
        name = record_name(path, content, most_values)
        file = _encodable(path.relative_to(source))
        if file is None:
            return None
        files[file] = name
        if name not in known and name not in new:
            record = _new_record(path, content, name, cache)
            if record is None:
                return None
            new[name] = record
    try:
        lock = read_lock(source)
    except SourceError:
        return None  # a whole compile has other things to say first
    if (files, lock) == (last.files, last.lock):
        return last
    doing("compiling what has changed")
    try:
        return Compiled(files, lock, compile_change(last, files, lock, _finder(cache, new)))
    except WholeNeeded:
        return None


def _new_record(path: Path, content: bytes, name: str, cache: CompileCache) -> FileRecord | None:
    encoded = cache.get(name)
    if encoded is None:
        encoded = read_record(path, content)
        if encoded is None:
            return None
        cache.put(name, encoded)
    return decode_record(encoded)


def _finder(cache: CompileCache, new: Mapping[str, FileRecord]) -> Callable[[str], FileRecord]:
    def find(name: str) -> FileRecord:
        if name in new:
            return new[name]
        encoded = cache.get(name)
        record = decode_record(encoded) if encoded is not None else None
        if record is None:
            raise WholeNeeded("a record is gone")
        return record

    return find
