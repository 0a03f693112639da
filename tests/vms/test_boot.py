"""A real Debian with cloud-init, booted from its disk: what the seed says is what the guest is."""

import json
import subprocess

import pytest

from groundplane.documents.machine import ImageBuild
from groundplane_deploys.images.build import ensure_built
from groundplane_deploys.images.cache import cache_directory
from groundplane_deploys.lab import client_key, ssh_config
from tests.vms.conftest import POOL, PREFIX, Hypervisors

pytestmark = [pytest.mark.vms, pytest.mark.slow]

DEBIAN = {"image": "debian", "memory": "512Mi", "disk": "4Gi"}
BOOT = "boot_timeout=2400"


@pytest.fixture(scope="module")
def debian(lab: Hypervisors) -> str:
    """Return the address of a VM that answers."""
    image = ensure_built(ImageBuild(), cache_directory())
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
    asked = "hostname; ip -j addr show eth0; ip -j -4 route; ip -j -6 route"
    name, link, *routes = guest(lab, debian, asked).splitlines()
    assert name == "d1"
    addresses = {each["local"] for each in json.loads(link)[0]["addr_info"] if _global(each)}
    assert addresses == {"10.78.0.11", "fd78::11"}
    ways = [each for table in routes for each in json.loads(table) if each["dst"] == "default"]
    assert {each["gateway"] for each in ways} == {"10.78.0.1", "fd78::1"}
    asked = "resolvectl dns eth0; df --output=size -BM /; cloud-init schema --system"
    servers, _, size, *schema = guest(lab, debian, asked).splitlines()
    assert servers.endswith(": 10.78.0.1 fd78::1")
    assert int(size.strip("M ")) > 3500
    assert "Valid cloud-config" in "".join(schema)


def _global(address: dict[str, str]) -> bool:
    return address["scope"] == "global"


def test_a_second_run_changes_nothing(lab: Hypervisors, debian: str) -> None:
    assert lab.deploy(BOOT).changed == ()


def test_it_shuts_down_when_asked_and_is_the_same_after_a_restart(
    lab: Hypervisors, debian: str
) -> None:
    pinned = lab.pinned.read_text()
    lab.declare({"d1": DEBIAN | {"memory": "576Mi"}})
    restarted = lab.deploy(BOOT, "restart=true", "shutdown_timeout=120")
    assert restarted.ok, restarted.text
    assert pinned == lab.pinned.read_text()
    asked = "awk '/MemTotal/ {print $2}' /proc/meminfo; journalctl -b | grep -i ext4 || true"
    memory, *mounted = guest(lab, debian, asked).splitlines()
    assert int(memory) > 500 << 10
    # Switched off, it would have had to read its journal.
    assert "recovery" not in "".join(mounted)
