"""The cache of a user's source: for unchanged files, commands use records instead of parsing.

It has a directory for each source in $XDG_CACHE_HOME/groundplane, and its secret is in
$XDG_STATE_HOME/groundplane (XDG Base Directory Specification). GROUNDPLANE_CACHE=off disables it.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from groundplane.allocate import LOCK_NAME
from groundplane.cli.checked import Checked
from groundplane.compile.cache import CompileCache, open_cache
from groundplane.errors import Fault, SourceError
from groundplane.load import ReadFile, SourceFingerprint, fingerprint_of, read_file, tree_of
from groundplane.load.documents import content_of
from groundplane.load.record import RecordReader
from groundplane.processes.limits import memory_limit

_CHECK: Final = "check"


class _Check(msgspec.Struct, frozen=True):
    """A check, and the digest of all that it depends on."""

    inputs: str
    checked: Checked
    records: tuple[str, ...]


_DECODER: Final = msgspec.msgpack.Decoder(_Check)


def cache_of(source: Path) -> CompileCache | None:
    """Return the cache of *source*; None if it is disabled or cannot be used."""
    if os.environ.get("GROUNDPLANE_CACHE") == "off":
        return None
    try:
        home = Path.home()
        own = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:32]
    except (OSError, RuntimeError):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    state = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return open_cache(cache / "groundplane" / own, state / "groundplane" / "cache.key")


def reader_of(source: Path) -> ReadFile:
    """Return the function that reads files of *source*, from cached records if possible."""
    cache = cache_of(source)
    return RecordReader(cache) if cache is not None else read_file


def kept_check(cache: CompileCache, source: Path, fingerprint: SourceFingerprint) -> Checked | None:
    """Return the last check of *source*, if nothing that it depends on has changed."""
    encoded = cache.get(_CHECK) if fingerprint else None
    if encoded is None:
        return None
    kept = _DECODER.decode(encoded)
    return kept.checked if kept.inputs == _inputs(source) else None


def keep_check(
    cache: CompileCache,
    source: Path,
    before: SourceFingerprint,
    records: Iterable[str],
    checked: Checked,
) -> None:
    """Keep *checked*, unless *source* has changed since its fingerprint was *before*."""
    inputs, names = _inputs(source), {*records} - {""}
    if inputs and before and before == fingerprint_of(source):
        kept = _Check(inputs, checked, tuple(sorted(names)))
        cache.put(_CHECK, msgspec.msgpack.encode(kept))
        cache.keep_only({_CHECK, *names})


def _inputs(source: Path) -> str:
    """Return the digest of all that a check of *source* depends on; "" if it cannot be computed."""
    try:
        tree = tree_of(source)
    except (OSError, SourceError):
        return ""
    settings = str(source), memory_limit(), tree.ignored, [*map(str, tree.passed_over)], tree.faults
    found = hashlib.sha256(repr(settings).encode())
    files = [*tree.read, *tree.ignore_files]
    if os.path.lexists(source / LOCK_NAME):
        files.append(source / LOCK_NAME)
    for path in files:
        content = content_of(path)
        if isinstance(content, Fault):
            return ""
        found.update(f"{path}\0{len(content)}\0".encode(errors="surrogateescape"))
        found.update(content)
    return found.hexdigest()
