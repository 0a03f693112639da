"""Logs with fields: to the journal by its own protocol, as text to a terminal, else as JSON lines.

The protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
"""

import asyncio
import errno
import json
import logging
import os
import resource
import socket
import struct
import sys
import traceback
from typing import Final

from groundplane.errors import bounded

JOURNAL: Final = "/run/systemd/journal/socket"
_FIELDS: Final = ("node", "about", "reason", "revision", "place")  # of a record, if present
_MAX_MESSAGE: Final = 16 << 10  # characters: a datagram holds it, and no error fills a disk
_SILENCE_S: Final = 60.0
_NO_DESCRIPTOR: Final = (
    "no file descriptor is left (RLIMIT_NOFILE is %d): what needs one fails, and is tried again"
)
_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def set_up(node: str) -> None:
    """Set the root logger's format according to the destination of standard error."""
    handler: logging.Handler
    if _is_journal():
        handler = JournalHandler(node)
    elif sys.stderr.isatty():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter(node))
    handler.addFilter(OneOfDescriptors())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.unraisablehook = _unraisable


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Log an unraisable exception, except that of an event loop that was never created.

    Its creator already got the OSError; the incomplete loop only fails a second time.
    """
    if unraisable.object is not asyncio.BaseEventLoop.__dict__.get("__del__"):
        sys.__unraisablehook__(unraisable)


def _is_journal() -> bool:
    """Return whether standard error is the journal's: sd_notify's sibling, see systemd.exec(5)."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def fields_of(record: logging.LogRecord, node: str) -> dict[str, str]:
    """Return the fields of *record*, and its message, truncated if it is too long."""
    message = record.getMessage()
    if record.exc_info:
        message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    known = {"node": node} | {
        name: str(value) for name in _FIELDS if (value := getattr(record, name, ""))
    }
    return {"message": bounded(message, _MAX_MESSAGE), "logger": record.name} | known


class OneOfDescriptors(logging.Filter):
    """Passes one record a minute about exhausted file descriptors, and makes it one line.

    Everything that needs a descriptor then fails at once, and would report it repeatedly.
    """

    _EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)

    def __init__(self) -> None:
        super().__init__()
        self._silent_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not self._is_of_descriptors(record):
            return True
        if record.created < self._silent_until:
            return False
        self._silent_until = record.created + _SILENCE_S
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        record.msg, record.args, record.exc_info = _NO_DESCRIPTOR, (soft,), None
        record.levelno, record.levelname = logging.ERROR, "ERROR"
        return True

    def _is_of_descriptors(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) and error.errno in self._EXHAUSTED:
            return True
        message = record.getMessage()
        return any(os.strerror(each) in message for each in self._EXHAUSTED)


class JsonFormatter(logging.Formatter):
    """A line of JSON for each record."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": round(record.created, 3), "level": record.levelname.lower()}
        return json.dumps(head | fields_of(record, self._node), ensure_ascii=False)


class JournalHandler(logging.Handler):
    """Sends each record with its fields: GROUNDPLANE_NODE, GROUNDPLANE_ABOUT, ..."""

    def __init__(self, node: str, path: str = JOURNAL) -> None:
        super().__init__()
        self._node, self._path = node, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        fields = fields_of(record, self._node)
        priority = next((value for level, value in _PRIORITIES if record.levelno >= level), 7)
        entries = {"MESSAGE": fields.pop("message"), "PRIORITY": str(priority)}
        entries["SYSLOG_IDENTIFIER"] = "groundplane"
        entries |= {f"GROUNDPLANE_{name.upper()}": value for name, value in fields.items()}
        try:
            self._socket.sendto(b"".join(_entry(*each) for each in entries.items()), self._path)
        except OSError:
            sys.stderr.write(f"{entries['MESSAGE']}\n")  # too long, or the journal restarts


def _entry(name: str, value: str) -> bytes:
    """Return an encoded field; a multi-line value is preceded by its length."""
    raw = value.encode(errors="replace")
    if b"\n" not in raw:
        return name.encode() + b"=" + raw + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
