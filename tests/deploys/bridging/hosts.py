"""A lab whose nodes are to be hypervisors, and the deploy of their bridges."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploys.catalog import ROOT
from deploys.lab import Lab, LabNode, client_key, entered, known_hosts, ssh_config

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
  networks:
"""

INVENTORY = """\
hosts = [("{name}", {data})]
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


def write_site(directory: Path, hypervisor: str, host: str, networks: str) -> None:
    """Write a catalog with one hypervisor."""
    directory.mkdir(parents=True, exist_ok=True)
    document = HYPERVISOR.format(name=hypervisor, host=host)
    (directory / "site.yaml").write_text(f"{SITE}{document}{networks}")
    groundplane = Path(sys.executable).with_name("groundplane")
    subprocess.run([groundplane, "allocate", str(directory)], check=True, capture_output=True)


def start(
    directory: Path, name: str, deploy: str, data: dict[str, object]
) -> subprocess.Popen[str]:
    """Start pyinfra from the calling thread's network."""
    inventory = directory.parent / f"{directory.name}-inventory.py"
    inventory.write_text(INVENTORY.format(name=name, data=repr(data)))
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("pyinfra")), "-y", str(inventory), deploy],
        cwd=ROOT,
        env={**os.environ, "GROUNDPLANE_SOURCE": str(directory)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(running: subprocess.Popen[str]) -> Ran:
    text, _ = running.communicate(timeout=180)
    return Ran(running.returncode, text)


def start_bridges(directory: Path, node: str, limit: int) -> subprocess.Popen[str]:
    """Start the deploy of the bridges of a *node* of the lab."""
    address = {each.name: each.hosts[0] for each in LAB.nodes}[node]
    data = {
        "ssh_hostname": address,
        "ssh_user": "root",
        "ssh_key": str(client_key(LAB)),
        "ssh_known_hosts_file": str(known_hosts(LAB)),
        "ssh_strict_host_key_checking": "yes",
        "hypervisor_name": node,
        "bridge_timeout": limit,
    }
    with entered(LAB):
        return start(directory, node, "deploys.hypervisor.bridges", data)


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
