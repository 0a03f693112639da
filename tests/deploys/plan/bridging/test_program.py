"""The program on the host: it is valid shell, says how it is called, and puts files back."""

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from groundplane.rendering import render_template
from groundplane_deploys.plan.bridging.change import Change
from groundplane_deploys.plan.texts import decoded


def test_the_program_is_valid_and_explains_itself(tmp_path: Path) -> None:
    program = tmp_path / "groundplane-bridge"
    program.write_text(render_template("bridge/groundplane-bridge.sh.j2"))
    subprocess.run(["sh", "-n", str(program)], check=True)
    done = subprocess.run(["sh", str(program)], text=True, capture_output=True)
    assert done.returncode == 1
    assert "usage: " in done.stderr


OWNERS = b"# \xe4 from the provider\r\nnetwork: {ethernets: {eno1: {addresses: [a]}}}"


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., None]:
    """Return what runs the program with its state below *tmp_path*, and with no host to change."""
    for name in ("systemd-run", "netplan", "sync"):
        (tmp_path / name).write_text("#!/bin/sh\n")
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    for name in ("systemd-run", "netplan", "sync", "systemctl"):
        (tmp_path / name).chmod(0o755)
    program = tmp_path / "groundplane-bridge"
    text = render_template("bridge/groundplane-bridge.sh.j2")
    program.write_text(text.replace("/var/lib/groundplane-bridge", str(tmp_path / "state")))
    path = f"{tmp_path}:{os.environ['PATH']}"

    def called(*words: str) -> None:
        subprocess.run(["sh", str(program), *words], env={"PATH": path}, check=True)

    return called


@pytest.mark.parametrize("back", ["rollback", "boot"])
def test_files_of_others_come_back_byte_for_byte(
    tmp_path: Path, host: Callable[..., None], back: str
) -> None:
    owners, ours = tmp_path / "etc/netplan/50.yaml", tmp_path / "etc/cloud/99.cfg"
    owners.parent.mkdir(parents=True)
    owners.write_bytes(OWNERS)
    wanted = {str(owners): decoded(OWNERS.replace(b"addresses: [a]", b"")), str(ours): "# x\n"}
    with tarfile.open(fileobj=Change("netplan", wanted, ()).archive()) as archive:
        archive.extractall(tmp_path / "state/staged", filter="data")
    host("apply", "60")
    host("switch")
    assert owners.read_bytes() == OWNERS.replace(b"addresses: [a]", b"")
    assert ours.read_text() == "# x\n"
    host(back)
    assert owners.read_bytes() == OWNERS
    assert not ours.exists()
