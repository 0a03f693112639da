"""Logs: to the journal with fields, as JSON, as text. A socket of ours stands for the journal's."""

import errno
import io
import json
import logging
import os
import pty
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.agent.logs import JournalHandler, JsonFormatter, OneOfDescriptors, fields_of

FIELDS = {"about": "nftables", "reason": "Repaired", "revision": "d46d8884f8d4"}


def record(message: str, level: int = logging.INFO, **fields: str) -> logging.LogRecord:
    made = logging.LogRecord("groundplane.x", level, "x.py", 1, message, (), None)
    vars(made).update(fields)
    return made


def failed() -> logging.LogRecord:
    """Return the record of an exception."""
    try:
        raise ValueError("so it is")
    except ValueError:
        return logging.LogRecord(
            "groundplane.x", logging.ERROR, "x.py", 1, "it ended", (), sys.exc_info()
        )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "journal"))
        opened.settimeout(5)
        yield opened


def received(journal: socket.socket) -> dict[str, str]:
    """Return the fields of the next entry, read as https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ says."""
    stream, fields = io.BytesIO(journal.recv(1 << 20)), {}
    while line := stream.readline():
        name, equals, value = line.rstrip(b"\n").partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", stream.read(8))
            value = stream.read(size)
            assert b"\n" == stream.read(1)
        fields[name.decode()] = value.decode()
    return fields


def test_the_journal_gets_every_field(journal: socket.socket) -> None:
    handler = JournalHandler("n1", journal.getsockname())
    handler.emit(record("nftables: was changed", logging.WARNING, **FIELDS))
    assert {
        "MESSAGE": "nftables: was changed",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "groundplane",
        "GROUNDPLANE_LOGGER": "groundplane.x",
        "GROUNDPLANE_NODE": "n1",
        "GROUNDPLANE_ABOUT": "nftables",
        "GROUNDPLANE_REASON": "Repaired",
        "GROUNDPLANE_REVISION": "d46d8884f8d4",
    } == received(journal)


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, "3"),
        (logging.ERROR, "3"),
        (logging.WARNING, "4"),
        (logging.INFO, "6"),
        (logging.DEBUG, "7"),
    ],
)
def test_a_level_is_a_priority_of_syslog(journal: socket.socket, level: int, priority: str) -> None:
    JournalHandler("n1", journal.getsockname()).emit(record("so it is", level))
    assert priority == received(journal)["PRIORITY"]


@pytest.mark.parametrize(
    "message", ["two\nlines", "ends\n", "a=b", "\nFAKE=1\n", "ä\u2028\n", "\x00\n\x00"]
)
def test_a_message_of_any_lines_is_one_field(journal: socket.socket, message: str) -> None:
    JournalHandler("n1", journal.getsockname()).emit(record(message))
    found = received(journal)
    assert message == found["MESSAGE"]
    assert "FAKE" not in found


def test_an_exception_follows_the_message(journal: socket.socket) -> None:
    JournalHandler("n1", journal.getsockname()).emit(failed())
    lines = received(journal)["MESSAGE"].splitlines()
    assert ("it ended", "ValueError: so it is") == (lines[0], lines[-1])


def test_without_the_journal_the_message_goes_to_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    JournalHandler("n1", str(tmp_path / "gone")).emit(record("so it is"))
    assert "so it is\n" == capsys.readouterr().err


def test_elsewhere_a_record_is_a_line_of_json() -> None:
    formatter = JsonFormatter("n1")
    line = formatter.format(record("two\nlines", logging.WARNING, **FIELDS))
    assert "\n" not in line
    told = json.loads(line)
    assert told.pop("time") > 1e9
    assert {
        "level": "warning",
        "message": "two\nlines",
        "logger": "groundplane.x",
        "node": "n1",
    } | FIELDS == told


def test_fields_that_a_record_has_not_are_left_out() -> None:
    expected = {"message": "so it is", "logger": "groundplane.x", "node": "n1"}
    assert expected == fields_of(record("so it is", about=""), "n1")


SAY = (
    "import logging; from groundplane.agent.logs import set_up; set_up('n1'); logging.info('hello')"
)


def test_a_person_at_a_terminal_reads_text() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", SAY], stderr=theirs, check=True)
        assert b"INFO hello\r\n" == os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("stream", ["", "1:1"])
def test_what_is_neither_terminal_nor_journal_gets_json(stream: str) -> None:
    environment = dict(os.environ) | {"JOURNAL_STREAM": stream}
    done = subprocess.run(
        [sys.executable, "-c", SAY], stderr=subprocess.PIPE, check=True, env=environment
    )
    assert ("info", "hello", "n1") == tuple(
        json.loads(done.stderr)[name] for name in ("level", "message", "node")
    )


def test_a_message_that_is_too_long_is_cut() -> None:
    message = fields_of(record("site.yaml:1: wrong\n" * 10_000), "n1")["message"]
    assert 17_000 > len(message)
    assert message.endswith(" more lines")


def test_one_line_a_minute_tells_that_no_descriptor_is_left() -> None:
    told, only = [], OneOfDescriptors()
    for number in range(1000):
        try:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        except OSError as error:
            made = record(f"nftables: {error}", logging.WARNING)
            made.exc_info = sys.exc_info() if number % 2 else None
        made.created = 1000.0 + number / 10  # 100 s in all
        if only.filter(made):
            told.append(fields_of(made, "n1")["message"])
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = (
        f"no file descriptor is left (RLIMIT_NOFILE is {soft}): what needs one fails, "
        "and is tried again"
    )
    assert [message] * 2 == told
    assert only.filter(record("another thing"))
    assert only.filter(failed())
