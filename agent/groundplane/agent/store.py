"""The last good site on disk, so that a node starts without its source and without a YAML parser."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from groundplane.errors import StateError

SITE_FILE: Final = "site.snapshot"
PREVIOUS_FILE: Final = "site.previous.snapshot"


def revision_of(encoded: bytes) -> str:
    """Return the name of a compiled site: the first 12 digits of its SHA-256."""
    return hashlib.sha256(encoded).hexdigest()[:12]


def write_atomically(path: Path, content: bytes) -> None:
    """Replace *path* by *content*: after a crash or a full disk it is the old or the new, whole."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def save_site(directory: Path, encoded: bytes) -> None:
    """Keep *encoded* as the last good site, and the one before it, unless damaged, beside it."""
    current = directory / SITE_FILE
    with suppress(StateError):
        kept = _read(current)
        if kept == encoded:
            return
        write_atomically(directory / PREVIOUS_FILE, _sealed(kept))
    write_atomically(current, _sealed(encoded))


def load_site(directory: Path) -> bytes:
    """Return the last good site, encoded; the one before it where the last is damaged.

    Raises StateError when neither can be used.
    """
    faults = []
    for name in (SITE_FILE, PREVIOUS_FILE):
        try:
            return _read(directory / name)
        except StateError as error:
            faults.append(str(error))
    raise StateError("; ".join(faults))


def _sealed(encoded: bytes) -> bytes:
    return hashlib.sha256(encoded).hexdigest().encode() + b"\n" + encoded


def _read(path: Path) -> bytes:
    """Return the site that *path* keeps; StateError when it is not what was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None
    encoded = content.partition(b"\n")[2]
    if content != _sealed(encoded):
        raise StateError(f"{path}: damaged: its content does not match its digest")
    return encoded
