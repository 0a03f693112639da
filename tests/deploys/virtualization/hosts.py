"""A lab whose nodes are to be hypervisors, and the deploy of their bridges."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import (
    Lab,
    LabNode,
    client_key,
    entered,
    known_hosts,
    ssh_config,
    status,
)
from groundplane_deploys.lab.disk import root_of
from groundplane_deploys.lab.network import node_namespace
from tests.nodes.packages import fetch

SUBNET = "192.168.71"

LAB = Lab(
    prefix="gp-hyptest",
    gateway=(f"{SUBNET}.1/24", "fd71::1/64"),
    nodes=(
        LabNode("h1", (f"{SUBNET}.11/24", "fd71::11/64")),
        LabNode("h2", (f"{SUBNET}.12/24", "fd71::12/64")),
    ),
    state=Path("/var/lib/groundplane-hyptest"),
)

SITE = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: test}
spec:
  serviceCIDRs: [10.96.0.0/16]
  workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}]
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1}
spec: {addresses: [192.0.2.99]}
"""

HYPERVISOR = """\
---
apiVersion: groundplane/v1
kind: Hypervisor
metadata: {{name: {name}}}
spec:
  management: {{host: {host}}}
  pool: /srv/pool
  networks:
"""


@dataclass(frozen=True)
class Ran:
    code: int
    text: str


def bridge(name: str, uplink: str | None, cidrs: str, addresses: str, *more: str) -> str:
    """Return a network of a Hypervisor document; *cidrs* and *addresses* are separated by commas."""
    lines = [f"cidrs: [{cidrs}]", f"addresses: [{addresses}]", *more]
    if uplink:
        lines.append(f"uplink: {uplink}")
    return f"  - name: {name}\n" + "".join(f"    {line}\n" for line in lines)


def hypervisor(name: str, networks: str) -> str:
    """Return a Hypervisor document for a node of the lab."""
    return HYPERVISOR.format(name=name, host=_address(name)) + networks


def write_site(directory: Path, *documents: str) -> Path:
    """Write a catalog with *documents*, and its lock."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "site.yaml").write_text(SITE + "".join(documents))
    groundplane = Path(sys.executable).with_name("groundplane")
    done = subprocess.run(
        [groundplane, "allocate", str(directory)], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return directory


def start(deploy: str, source: Path, *nodes: str, **data: object) -> subprocess.Popen[str]:
    """Start pyinfra for *nodes* of the lab with the catalog *source*."""
    inventory = source.parent / f"{source.name}-inventory.py"
    inventory.write_text(f"hosts = {[(node, _data(node) | data) for node in nodes]!r}\n")
    with entered(LAB):
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("pyinfra")), "-y", str(inventory), deploy],
            cwd=ROOT,
            env={
                **os.environ,
                "GROUNDPLANE_SOURCE": str(source),
                "GROUNDPLANE_CACHE": str(source.parent / "cache"),
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


def run(deploy: str, source: Path, *nodes: str, **data: object) -> Ran:
    """Do the same, and wait for its end."""
    running = start(deploy, source, *nodes, **data)
    text, _ = running.communicate(timeout=180)
    return Ran(running.returncode, text)


def _address(node: str) -> str:
    return next(each.hosts[0] for each in LAB.nodes if each.name == node)


def _data(node: str) -> dict[str, object]:
    return {
        "ssh_hostname": _address(node),
        "ssh_user": "root",
        "ssh_key": str(client_key(LAB)),
        "ssh_known_hosts_file": str(known_hosts(LAB)),
        "ssh_strict_host_key_checking": "yes",
        "hypervisor_name": node,
    }


def on(node: str, command: str) -> str:
    """Run a command on a node, by ssh."""
    with entered(LAB):
        done = subprocess.run(
            ["ssh", "-F", str(ssh_config(LAB)), node, command],
            text=True,
            capture_output=True,
            timeout=60,
        )
    assert done.returncode == 0, f"{node}: {command}: {done.stderr}{done.stdout}"
    return done.stdout.strip()


def install(node: str, name: str) -> None:
    """Install a Debian package, which the node itself could not fetch."""
    there = root_of(LAB, node) / "opt/packages"
    packages = fetch(LAB, node, name)
    there.mkdir()
    try:
        for each in packages:
            shutil.copy(each, there)
        on(node, "DEBIAN_FRONTEND=noninteractive dpkg --install /opt/packages/*.deb")
    finally:
        shutil.rmtree(there)


def power_off(node: str) -> None:
    """End a node as the failure of its power supply would, and wait until it has ended."""
    os.kill(_nspawn_of(node), signal.SIGKILL)
    while any(each.name == node and each.running for each in status(LAB)):
        time.sleep(0.05)


def _nspawn_of(node: str) -> int:
    wanted = f"--machine={node_namespace(LAB.prefix, node)}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0] == b"systemd-nspawn" and wanted in words:
                return int(process.name)
    raise AssertionError(f"no systemd-nspawn for {node}")
