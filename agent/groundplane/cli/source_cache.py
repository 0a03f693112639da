"""The cache of a user's source: for unchanged files, commands use records instead of parsing.

It has a directory for each source in $XDG_CACHE_HOME/groundplane, and its secret is in
$XDG_STATE_HOME/groundplane (XDG Base Directory Specification). GROUNDPLANE_CACHE=off disables it.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from groundplane.allocate import LOCK_NAME
from groundplane.cli.checked import Checked
from groundplane.compile.cache import CompileCache, open_cache
from groundplane.errors import Fault, SourceError
from groundplane.load import ReadFile, read_file, tree_of
from groundplane.load.documents import content_of
from groundplane.load.record import RecordReader
from groundplane.processes.limits import memory_limit

_CHECK: Final = "check"


class _Check(msgspec.Struct, frozen=True):
    """The result of a check, and the digest of all that it depends on."""

    inputs: str
    checked: Checked


class CheckInputs(NamedTuple):
    """What the result of a check depends on: its digest, and what tells when a file was written.

    The digest alone does not tell a file that was another one only while it was read.
    """

    digest: str
    written: tuple[tuple[str, int, int], ...]


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


@contextmanager
def reader_of(source: Path) -> Iterator[ReadFile]:
    """Yield the function that reads files of *source*, from cached records if possible.

    Records that it did not use are deleted then.
    """
    cache = cache_of(source)
    if cache is None:
        yield read_file
        return
    reader = RecordReader(cache)
    yield reader
    cache.keep_only({_CHECK, *reader.names.values()})


def kept_check(cache: CompileCache, inputs: CheckInputs | None) -> Checked | None:
    """Return the last check of a source, if it depended on the same *inputs*."""
    encoded = cache.get(_CHECK)
    if encoded is None or inputs is None:
        return None
    kept = _DECODER.decode(encoded)
    return kept.checked if kept.inputs == inputs.digest else None


def keep_check(
    cache: CompileCache, source: Path, before: CheckInputs | None, checked: Checked
) -> None:
    """Keep *checked*, unless *source* has changed since its inputs were *before*."""
    if before is not None and before == inputs_of(source):
        with suppress(UnicodeEncodeError):  # the name of a file need not be text
            cache.put(_CHECK, msgspec.msgpack.encode(_Check(before.digest, checked)))


def inputs_of(source: Path) -> CheckInputs | None:
    """Return what a check of *source* depends on; None if it cannot be read."""
    try:
        tree = tree_of(source)
    except (OSError, SourceError):
        return None
    settings = str(source), memory_limit(), tree.ignored, [*map(str, tree.passed_over)], tree.faults
    digest = hashlib.sha256(repr(settings).encode())
    files = [*tree.read, *tree.ignore_files]
    if os.path.lexists(source / LOCK_NAME):
        files.append(source / LOCK_NAME)
    written = []
    for path in files:
        content = content_of(path)
        if isinstance(content, Fault):
            return None
        try:
            found = path.stat()
        except OSError:
            return None
        written.append((str(path), found.st_ino, found.st_ctime_ns))
        digest.update(os.fsencode(f"{path}\0{len(content)}\0"))
        digest.update(content)
    return CheckInputs(digest.hexdigest(), tuple(written))
