"""What is kept of the serials that were served."""

from pathlib import Path

import pytest

from groundplane.dataplanes.dns import serials
from groundplane.dataplanes.dns.serials import Serials, first_serials
from groundplane.dataplanes.dns.wire import later

ZONE = "cluster.local"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "serials.json"


def test_what_this_process_saw_served_is_known_exactly(file: Path) -> None:
    kept = Serials(file)
    kept.note({ZONE: 5})
    kept.note({ZONE: 6})
    assert (6, None, None) == tuple(kept.forgotten(ZONE, each) for each in (5, 6, 7))


def test_after_a_restart_a_server_that_begins_anew_is_told_from_one_that_did_not(
    file: Path,
) -> None:
    first = Serials(file)
    for serial in range(2, 50):
        first.note({ZONE: serial})
    second = Serials(file)
    assert None is second.forgotten(ZONE, 49)
    passed = second.forgotten(ZONE, 1)
    assert passed is not None
    assert passed >= 49


def test_the_file_is_written_once_for_many_changes(file: Path) -> None:
    kept = Serials(file)
    kept.note({ZONE: 1})
    first = file.stat().st_ino
    for serial in range(2, 900):
        kept.note({ZONE: serial})
    assert first == file.stat().st_ino
    kept.note({ZONE: 1100})
    assert first != file.stat().st_ino


def test_serials_go_on_past_their_end(file: Path) -> None:
    Serials(file).note({ZONE: 2**32 - 2})
    passed = Serials(file).forgotten(ZONE, 2**32 - 3)
    assert 998 == passed


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a":'])
def test_a_file_that_is_none_is_as_if_there_were_none(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert None is Serials(file).forgotten(ZONE, 1)


def test_where_nothing_can_be_kept_the_rest_goes_on(tmp_path: Path) -> None:
    kept = Serials(tmp_path / "none" / "serials.json")
    kept.note({ZONE: 9})
    assert 9 == kept.forgotten(ZONE, 8)


def test_a_zone_that_is_made_anew_begins_after_all_that_were_served(file: Path) -> None:
    kept = Serials(file)
    for serial in range(2, 900):
        kept.note({ZONE: serial})
    begun = first_serials(file.read_bytes())[ZONE]
    assert later(begun, 899)
    assert None is Serials(file).forgotten(ZONE, begun)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a":'])
def test_a_file_that_is_none_tells_of_no_serial(content: bytes) -> None:
    assert {} == first_serials(content)


def test_what_is_noted_together_is_written_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(
        serials, "write_atomically", lambda _, content, _mode: written.append(content)
    )
    Serials(file).note({"a": 1, "b": 2})
    assert [b'{"a":1,"b":2}'] == written


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a.": "x"}', b"\xff"])
def test_a_file_that_is_damaged_is_reported_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "serials.json"
    file.write_bytes(content)
    kept = Serials(file)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{file}: ")
    assert record.getMessage().endswith("; serials continue from what the server has")
    kept.note({ZONE: 7})
    assert 8 <= (Serials(file).forgotten(ZONE, 1) or 0)


def test_a_file_that_is_not_there_is_nothing_to_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert None is Serials(tmp_path / "serials.json").forgotten(ZONE, 1)
    assert [] == caplog.records
