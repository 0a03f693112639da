"""Deploys that meet a fault: an error for each host, the others go on, another run completes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import known_hosts
from tests.nodes.conftest import PREFIX, Deployed
from tests.nodes.test_upgrade import pyinfra

pytestmark = pytest.mark.nodes

SITE = ("inventories/lab.py", "deploys/site.py")


def changed(site: Deployed) -> list[str]:
    operations = site.deploy("deploys/site.py")["results"]["operations"]
    return [each["name"] for each in operations if each["success"] or each["error"]]


def test_a_host_that_is_not_reached_is_named_and_the_others_go_on(site: Deployed) -> None:
    port = ["ip", "-n", PREFIX, "link", "set", "to-n2"]
    subprocess.run([*port, "down"], check=True)
    try:
        done = pyinfra(site, "--data", "ssh_connect_retries=0", *SITE)
    finally:
        subprocess.run([*port, "up"], check=True)
    assert 0 != done.returncode
    assert "[n2] Failed to connect" in done.stderr or "[n2] Could not connect" in done.stderr, (
        done.stderr
    )
    assert "[n1] No changes" in done.stderr
    assert "[n3] No changes" in done.stderr
    site.on("n2", "groundplane agent wait --within 60")  # its source was out of reach, too
    assert [] == changed(site)


def test_a_host_with_another_key_is_not_spoken_to(site: Deployed, tmp_path: Path) -> None:
    """Its key is pinned: whoever answers with another one is somebody else."""
    lines = known_hosts(site.lab).read_text().splitlines(keepends=True)
    mine = next(line.split(" ", 1)[1] for line in lines if "192.168.50.11" in line)
    wrong = [f"{line.split(' ')[0]} {mine}" if "192.168.50.12" in line else line for line in lines]
    (tmp_path / "known_hosts").write_text("".join(wrong))
    done = pyinfra(site, "--data", f"ssh_known_hosts_file={tmp_path / 'known_hosts'}", *SITE)
    assert 0 != done.returncode
    assert "[n2]" in done.stderr
    assert "does not match" in done.stderr, done.stderr
    assert "[n1] No changes" in done.stderr


def test_a_host_that_can_be_no_node_is_left_alone_and_the_others_go_on(site: Deployed) -> None:
    python = "/usr/local/bin/python3"  # before the host's own on the path
    site.on("n2", f"printf '#!/bin/sh\\necho 3.9\\n' >{python} && chmod 755 {python}")
    try:
        done = pyinfra(site, *SITE)
    finally:
        site.on("n2", f"rm {python}")
    assert 0 != done.returncode
    assert "[n2] the agent needs Python 3.11 or later; here is 3.9" in done.stderr, done.stderr
    assert "[n2] Error: executed 0 commands" in done.stderr
    assert "[n1] No changes" in done.stderr
    assert [] == changed(site)


def test_a_full_disk_leaves_the_agent_that_runs(site: Deployed) -> None:
    before = site.on("n2", "readlink -f /opt/groundplane/current")
    site.on("n2", "mkdir -p /opt/tiny && mount -t tmpfs -o size=1m tmpfs /opt/tiny")
    try:
        tiny = ("--limit", "n2", "--data", "environment_directory=/opt/tiny")
        done = pyinfra(site, *tiny, *SITE)
        assert 0 != done.returncode
        assert "No space left on device" in done.stderr or "Failure" in done.stderr, done.stderr
        assert site.status("n2")["healthy"]
        assert before == site.on("n2", "readlink -f /opt/groundplane/current")
    finally:
        site.on("n2", "umount /opt/tiny; rmdir /opt/tiny")
    assert [] == changed(site)


DIRT = (
    "/etc/systemd/network/60-groundplane0.network",
    "/etc/systemd/networkd.conf.d/groundplane.conf",
    "/etc/bind/groundplane.conf",
    "/etc/systemd/system/groundplane-agent.service",
    "/etc/groundplane/agent.env",
    "/opt/groundplane/current",
    "/usr/local/bin/groundplane",
)


@pytest.mark.parametrize("seconds", [3.0, 7.0])
def test_a_deploy_that_is_killed_is_completed_by_another(site: Deployed, seconds: float) -> None:
    site.on("n3", f"rm -f {' '.join(DIRT)}")
    command = [str(Path(sys.executable).with_name("pyinfra")), "-y", *SITE]
    killed = subprocess.Popen(
        command, cwd=ROOT, env=site.environment, stdout=-3, stderr=-3, start_new_session=True
    )
    time.sleep(seconds)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    site.deploy("deploys/site.py")
    assert [] == changed(site)
    assert site.status("n3")["healthy"]  # as the deploy has waited for
    assert "" == site.on("n3", "systemctl --failed --no-legend --plain").strip()
