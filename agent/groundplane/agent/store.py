"""The last good site on disk, so that a node starts without its source and without a YAML parser."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from groundplane.atomic import write_atomically
from groundplane.errors import StateError
from groundplane.site.snapshot import verify

log = logging.getLogger(__name__)

# Probes have headers that only the prober may read.
_MODE: Final = 0o640
SITE_FILE: Final = "site.snapshot"
PREVIOUS_FILE: Final = "site.previous.snapshot"
VERDICTS_FILE: Final = "verdicts.json"
SERIALS_FILE: Final = "serials.json"
COMPILED_DIRECTORY: Final = "compiled"  # the compiler's cache
COMPILED_KEY: Final = "compiled.key"


def save_site(directory: Path, encoded: bytes) -> None:
    """Save *encoded* as the last good site, and keep the previous one unless it is damaged."""
    current = directory / SITE_FILE
    with suppress(StateError):
        kept = _read(current)
        if kept == encoded:
            return
        write_atomically(directory / PREVIOUS_FILE, kept, _MODE)
    write_atomically(current, encoded, _MODE)


def load_site(directory: Path) -> bytes:
    """Return the last good site, encoded; the previous one if the last is damaged.

    Raises StateError when neither can be used.
    """
    faults = []
    for name in (SITE_FILE, PREVIOUS_FILE):
        try:
            return _read(directory / name)
        except StateError as error:
            faults.append(str(error))
    raise StateError("; ".join(faults))


def save_verdicts(directory: Path, verdicts: Mapping[tuple[str, str], bool]) -> None:
    """Save which workloads pass their probes."""
    named = {"/".join(key): passing for key, passing in sorted(verdicts.items())}
    write_atomically(directory / VERDICTS_FILE, msgspec.json.encode(named), _MODE)


def load_verdicts(directory: Path) -> dict[tuple[str, str], bool]:
    """Return the saved verdicts; none if the file is missing or (which is reported) damaged."""
    path = directory / VERDICTS_FILE
    try:
        named = msgspec.json.decode(path.read_bytes(), type=dict[str, bool])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("%s: %s; every workload is probed before it counts", path, error)
        return {}
    keys = ((name.partition("/"), passing) for name, passing in named.items())
    return {(namespace, name): passing for (namespace, _, name), passing in keys}


def _read(path: Path) -> bytes:
    """Return the site in *path*; StateError if it differs from what was written."""
    try:
        encoded = path.read_bytes()
        verify(encoded)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None
    except StateError as error:
        raise StateError(f"{path}: {error}") from None
    return encoded
