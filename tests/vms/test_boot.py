"""A real Debian with cloud-init, booted from its disk: what the seed says is what the guest is."""

import json
import subprocess

import pytest

from deploys.lab import client_key, ssh_config
from groundplane.model.machine import ImageBuild
from tests.vms.conftest import POOL, PREFIX, Hypervisors

pytestmark = pytest.mark.vms

DEBIAN = {"image": "debian", "memory": "512Mi", "disk": "4Gi"}
BOOT = "boot_timeout=300"


@pytest.fixture(scope="module")
def debian(lab: Hypervisors) -> str:
    """Return the address of a VM that answers."""
    build, cache = (pytest.importorskip(f"deploys.images.{each}") for each in ("build", "cache"))
    image = build.ensure_built(ImageBuild(), cache.cache_directory())
    path = lab.root("hv1") / POOL.removeprefix("/") / "images/debian.qcow2"
    subprocess.run(["cp", str(image), str(path)], check=True)
    lab.declare({"d1": DEBIAN})
    booted = lab.deploy(BOOT)
    assert booted.ok, booted.text
    return "10.78.0.11"


def guest(lab: Hypervisors, address: str, command: str) -> str:
    """Return what *command* prints in a VM, by ssh that knows the pinned key and no other."""
    hop = f"ssh -F {ssh_config(lab.lab)} hv1 -W %h:%p"
    options = {
        "ProxyCommand": hop,
        "UserKnownHostsFile": str(lab.pinned),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "IdentityFile": str(client_key(lab.lab)),
        "PasswordAuthentication": "no",
        "ConnectTimeout": "60",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(
        ["ip", "netns", "exec", PREFIX, "ssh", "-F", "none", *words, f"root@{address}", command],
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_guest_is_as_its_seed_says(lab: Hypervisors, debian: str) -> None:
    assert guest(lab, debian, "cloud-init status --wait | tail -1") == "status: done"
    assert guest(lab, debian, "hostname") == "d1"
    link = json.loads(guest(lab, debian, "ip -j addr show eth0"))[0]
    addresses = {each["local"] for each in link["addr_info"] if each["scope"] == "global"}
    assert addresses == {"10.78.0.11", "fd78::11"}
    routes = [json.loads(guest(lab, debian, f"ip -j {each} route")) for each in ("-4", "-6")]
    ways = {each["gateway"] for table in routes for each in table if each["dst"] == "default"}
    assert ways == {"10.78.0.1", "fd78::1"}
    assert "10.78.0.1 fd78::1" in guest(lab, debian, "cat /etc/systemd/network/10-cloud-init-*")
    assert int(guest(lab, debian, "df --output=size -BM / | tail -1").rstrip("M")) > 3500
    assert "Valid cloud-config" in guest(lab, debian, "cloud-init schema --system")


def test_a_second_run_changes_nothing(lab: Hypervisors, debian: str) -> None:
    assert lab.deploy(BOOT).changed == ()


def test_it_shuts_down_when_asked_and_is_the_same_after_a_restart(
    lab: Hypervisors, debian: str
) -> None:
    key = guest(lab, debian, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    lab.declare({"d1": DEBIAN | {"memory": "576Mi"}})
    restarted = lab.deploy(BOOT, "restart=true", "shutdown_timeout=120")
    assert restarted.ok, restarted.text
    assert key == guest(lab, debian, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    assert int(guest(lab, debian, "awk '/MemTotal/ {print $2}' /proc/meminfo")) > 500 << 10
    # Switched off, it would have had to read its journal.
    assert "recovery" not in guest(lab, debian, "journalctl -b | grep -i ext4 || true")
