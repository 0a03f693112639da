"""What the ssh client is told about the nodes, and what a person is told about a failure."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from groundplane_deploys.lab import ssh
from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.model import Lab, LabNode
from groundplane_deploys.lab.ssh import format_config, format_known_hosts, tail

N1 = LabNode("n1", ("192.168.50.11/24", "fd50::11/64"))
LAB = Lab(nodes=(N1,), state=Path("/var/lib/lab"))


def test_known_hosts_pin_a_node_by_name_and_by_every_address() -> None:
    text = format_known_hosts({"n1": N1.hosts}, {"n1": "ssh-ed25519 AAAA n1\n"})

    assert text == "n1,192.168.50.11,fd50::11 ssh-ed25519 AAAA\n"


def test_the_client_trusts_only_what_the_lab_made() -> None:
    lines = [line.strip() for line in format_config(LAB).splitlines()]

    assert lines[:3] == ["Host git", "HostName 192.168.50.1", "User git"]
    assert lines[4:6] == ["Host n1", "HostName 192.168.50.11"]
    assert "User root" in lines
    assert "IdentityFile /var/lib/lab/ssh/id_ed25519" in lines
    assert "UserKnownHostsFile /var/lib/lab/ssh/known_hosts" in lines
    assert "GlobalKnownHostsFile none" in lines
    assert "StrictHostKeyChecking yes" in lines


def test_the_tail_of_a_log_says_when_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "n1.log"

    assert tail(log) == "    (it is not there)"
    log.write_text("\n")
    assert tail(log) == "    (it is empty)"
    log.write_text("one\n\ntwo\r\nthree\n")
    assert tail(log, 2) == "    two\n    three"


def test_while_it_boots_a_node_is_asked_for_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time starts a process of systemctl, and thirty nodes boot at once."""
    asked: list[str] = []

    def is_running(name: str) -> bool:
        asked.append(name)
        return True

    monkeypatch.setattr(ssh, "entered", lambda _: nullcontext())
    monkeypatch.setattr(ssh, "answers", lambda _: False)
    lab = Lab(nodes=(LabNode("n1", ("192.168.50.11/24",)),), state=tmp_path)
    with pytest.raises(LabError, match="n1: no ssh"):
        ssh.wait_for_ssh(lab, is_running, 0.6)
    assert ["n1"] == asked
