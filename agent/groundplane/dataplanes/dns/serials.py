"""Serials that were served, so that no serial decreases when the server forgets them.

A reinstalled server starts with the serial of the zone file that it is given.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from groundplane.atomic import write_atomically
from groundplane.dataplanes.dns.wire import later

log = logging.getLogger(__name__)

_AHEAD: Final = 1000  # changes of a zone that one write of the file covers


class Serials:
    """Serials that were served: the last ones by this process, and earlier ones from *file*.

    The file has one served serial of each zone; up to `_AHEAD` later ones may have been served.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._kept = _read(file) if file is not None else {}
        self._served: dict[str, int] = {}

    def forgotten(self, zone: str, serial: int) -> int | None:
        """Return the last serial that *zone* may have been served with, if *serial* is before it.

        None if the server has forgotten nothing.
        """
        served = last = self._served.get(zone)
        if served is None and (served := self._kept.get(zone)) is not None:
            last = (served + _AHEAD) % (1 << 32)
        return last if served is not None and later(served, serial) else None

    def note(self, serials: Mapping[str, int]) -> None:
        """Record that zones are served with *serials*."""
        self._served.update(serials)
        new = {
            zone: serial for zone, serial in serials.items() if not self._stands_for(zone, serial)
        }
        self._kept |= new
        if self._file is None or not new:
            return
        try:
            write_atomically(self._file, msgspec.json.encode(self._kept, order="sorted"), 0o640)
        except OSError as error:
            log.warning("cannot save serials: %s", error)

    def _stands_for(self, zone: str, serial: int) -> bool:
        """Return whether the file's entry of *zone* also covers *serial*."""
        kept = self._kept.get(zone)
        return kept is not None and (serial - kept) % (1 << 32) <= _AHEAD


def first_serials(content: bytes) -> dict[str, int]:
    """Return the first serials of recreated zones: after all that were served, by *content*.

    *content* is that of a file written by `Serials`; any other content yields nothing.
    """
    try:
        kept = msgspec.json.decode(content, type=dict[str, int])
    except ValueError:
        return {}
    return {zone: (serial + _AHEAD + 1) % (1 << 32) or 1 for zone, serial in kept.items()}


def _read(file: Path) -> dict[str, int]:
    """Return the serials in *file*; none if it is missing or damaged (the latter is reported)."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = error.strerror
    except ValueError as error:
        why = str(error)
    log.warning("%s: %s; serials continue from what the server has", file, why)
    return {}
