"""The status file: what `groundplane agent status` reads."""

import os
from pathlib import Path

import msgspec
import pytest

from groundplane.agent.status import PlaneStatus, Status, bounded_status, read_status, write_status
from groundplane.errors import MAX_TEXT, StateError

GOOD = Status("n1", "0.1.0", 1, 1.0, "/etc/groundplane/catalog", revision="abc")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    status = msgspec.structs.replace(GOOD, planes=(PlaneStatus("dns", "refused", since=2.0),))
    write_status(tmp_path, status)
    assert status == read_status(tmp_path)


def test_everyone_on_the_node_may_read_what_the_socket_tells_everyone(tmp_path: Path) -> None:
    before = os.umask(0o027)  # the unit's
    try:
        write_status(tmp_path, GOOD)
    finally:
        os.umask(before)
    assert 0o644 == (tmp_path / "status.json").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("changes", "healthy"),
    [
        ({}, True),
        ({"planes": (PlaneStatus("dns"),)}, True),
        ({"revision": ""}, False),
        ({"source_error": "site.yaml:1: not YAML"}, False),
        ({"store_error": "No space left on device"}, False),
        ({"planes": (PlaneStatus("links"), PlaneStatus("dns", "refused"))}, False),
        ({"planes": (PlaneStatus("links"), PlaneStatus("dns", busy_since=1.0))}, False),
        ({"planes": (PlaneStatus("nftables", contested="changed by nft"),)}, False),
    ],
)
def test_it_is_healthy_when_all_is_as_declared(changes: dict[str, object], healthy: bool) -> None:
    assert healthy == msgspec.structs.replace(GOOD, **changes).healthy


def test_without_an_agent_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(StateError) as error:
        read_status(tmp_path)
    expected = f"{tmp_path}/status.json: No such file or directory; is the agent running?"
    assert expected == str(error.value)


@pytest.mark.parametrize("content", [b"", b"{}", b'"\xff"', b"[1]"])
def test_what_is_no_status_says_so_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(StateError) as error:
        read_status(tmp_path)
    assert [str(error.value)] == str(error.value).splitlines()
    assert str(error.value).startswith(f"{tmp_path}/status.json: ")


def test_faults_without_number_make_a_status_of_a_bounded_size() -> None:
    many = "site.yaml:1: Service/default/web: wrong\n" * 100_000
    status = bounded_status(
        msgspec.structs.replace(
            GOOD,
            source_error=many,
            store_error=many,
            health_error=many,
            health_check_errors=tuple(many.splitlines()),
            planes=(PlaneStatus("dns", error=many, contested=many),),
        )
    )
    assert 6 * MAX_TEXT > len(msgspec.json.encode(status))
    assert status.source_error.startswith("site.yaml:1: Service/default/web: wrong\n")
    assert status.source_error.splitlines()[-1].endswith(" more lines")
    assert "and 99901 more" == status.health_check_errors[-1]
    assert status == bounded_status(status)


def test_a_status_of_usual_size_stays_as_it_is() -> None:
    status = msgspec.structs.replace(
        GOOD, source_error="a:1: x\nb:2: y", planes=(PlaneStatus("x"),)
    )
    assert status == bounded_status(status)
