"""What the ssh client is told about the nodes, and what a person is told about a failure."""

from pathlib import Path

from deploys.lab.model import Lab, LabNode
from deploys.lab.ssh import format_config, format_known_hosts, tail

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
