"""sd_notify(3)."""

import socket
from pathlib import Path

import pytest

from groundplane.agent.notify import notify, watchdog_interval


@pytest.mark.parametrize("abstract", [False, True])
def test_assignments_are_one_datagram_to_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    path = f"@{tmp_path}/notify" if abstract else f"{tmp_path}/notify"
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path.replace("@", "\0", 1))
        notify("READY=1", "STATUS=good")
        assert b"READY=1\nSTATUS=good" == manager.recv(100)


def test_without_a_service_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_a_service_manager_that_is_gone_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/gone")
    notify("WATCHDOG=1")


@pytest.mark.parametrize(("allowed", "expected"), [("60000000", 20.0), (None, 10.0)])
def test_a_sign_of_life_is_given_three_times_as_often_as_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, allowed: str | None, expected: float
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    if allowed is not None:
        monkeypatch.setenv("WATCHDOG_USEC", allowed)
    assert expected == watchdog_interval()
