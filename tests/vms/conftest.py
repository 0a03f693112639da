"""Two hypervisors in a lab of their own, with real libvirt daemons, for all tests here."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import (
    Lab,
    LabNode,
    client_key,
    down,
    known_hosts,
    preflight,
    ssh_config,
    up,
)
from groundplane_deploys.lab.disk import root_of
from groundplane_deploys.lab.preflight import PreflightError
from groundplane_deploys.vm_keys import pinned_file

PREFIX = "gp-vmtest"
HOSTS = {"hv1": "192.168.78.11", "hv2": "192.168.78.12"}

CLUSTER = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {{name: {site}}}
spec:
  serviceCIDRs: [10.96.0.0/24]
  workloadCIDRs: [{{cidr: 10.244.0.0/16, nodePrefix: 24}}]
---
apiVersion: groundplane/v1
kind: Image
metadata: {{name: halting}}
spec: {{build: {{}}}}
---
apiVersion: groundplane/v1
kind: Image
metadata: {{name: debian}}
spec: {{build: {{}}}}
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: bare}}
spec: {{addresses: [192.168.78.9]}}
"""

HYPERVISOR = """\
---
apiVersion: groundplane/v1
kind: Hypervisor
metadata: {{name: {name}}}
spec:
  management: {{host: {host}}}
  pool: {pool}
  networks:
  - {{name: {network}, cidrs: [10.{octet}.0.0/24, "fd{octet}::/64"], mode: nat, mtu: {mtu}}}
"""

NODE = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: {name}}}
spec:
  addresses: [10.{octet}.0.{number}, "fd{octet}::{number}"]
  vm: {vm}
"""

INVENTORY = """\
from pathlib import Path
from groundplane_deploys.lab import Lab, enter
enter(Lab(prefix={prefix!r}, state=Path({state!r})))
hypervisors = {hosts!r}
"""

POOL = "/var/lib/groundplane-vms"

# A boot sector of cli and hlt: without one, a guest keeps a CPU busy looking for another.
HALTING = (
    "printf '\\372\\364' > /tmp/halt && truncate -s 510 /tmp/halt && printf '\\125\\252' >> /tmp/halt"
    " && truncate -s 64M /tmp/halt"
    f" && qemu-img convert -q -f raw -O qcow2 /tmp/halt {POOL}/images/halting.qcow2"
)


@dataclass(frozen=True)
class Run:
    """What pyinfra said: *changed* are the names of operations, and *text* all that it wrote."""

    ok: bool
    changed: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Hypervisors:
    """The lab: give it a site, deploy that, and ask the hypervisors what came of it."""

    lab: Lab
    directory: Path

    def declare(
        self,
        nodes: dict[str, dict[str, Any]],
        *,
        site: str = "vmtest",
        pool: str = POOL,
        network: str = "vms",
        octet: int = 78,
        mtu: int = 1500,
    ) -> None:
        """Make the catalog one with these nodes: for each its spec.vm, but for what all share.

        *octet* is the second of all addresses.
        """
        text = CLUSTER.format(site=site)
        for name, host in HOSTS.items():
            text += HYPERVISOR.format(
                name=name, host=host, pool=pool, network=network, octet=octet, mtu=mtu
            )
        shared = {"hypervisor": "hv1", "image": "halting", "network": network}
        small = {"memory": "128Mi", "disk": "1Gi"}
        for number, (name, vm) in enumerate(nodes.items(), start=11):
            spec = json.dumps(shared | small | vm)
            text += NODE.format(name=name, number=number, octet=octet, vm=spec)
        (self.directory / "site.yaml").write_text(text)
        self.project("groundplane", "allocate", str(self.directory))

    def deploy(
        self, *data: str, what: str = "groundplane_deploys.virtualization.vms", hosts: str = "hv1"
    ) -> Run:
        """Run pyinfra on *hosts* with *data*, each as in "purge=true"."""
        options = [word for each in data for word in ("--data", each)]
        inventory = str(self.directory / "inventory.py")
        done = self.project(
            "pyinfra", "-y", "--json", *options, "--limit", hosts, inventory, what, check=False
        )
        text = done.stdout + done.stderr
        found = json.loads(done.stdout[done.stdout.index("{") :]) if "{" in done.stdout else {}
        results = found.get("results", {}).get("operations", [])
        changed = tuple(each["name"] for each in results if each.get("success"))
        return Run(done.returncode == 0, changed, text)

    def project(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(command[0])), *command[1:]],
            cwd=ROOT,
            env=os.environ | {"GROUNDPLANE_SOURCE": str(self.directory)},
            text=True,
            capture_output=True,
            timeout=600,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def on(self, host: str, command: str, *, stdin: str = "", check: bool = True) -> str:
        """Return what *command* prints on *host*."""
        ssh = ["ssh", "-F", str(ssh_config(self.lab)), host, command]
        done = subprocess.run(
            ["ip", "netns", "exec", PREFIX, *ssh],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    @property
    def pinned(self) -> Path:
        """The known hosts that the deploy wrote for hv1."""
        return pinned_file("hv1", self.directory)

    def state(self, domain: str, host: str = "hv1") -> str:
        """Return virsh's word for how *domain* is, or "" where there is none."""
        return self.on(host, f"virsh domstate {domain} 2>/dev/null", check=False)

    def root(self, host: str) -> Path:
        """Return where the file system of *host* is seen from here."""
        return root_of(self.lab, host)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hypervisors]:
    directory = tmp_path_factory.mktemp("vms")
    lab = Lab(
        prefix=PREFIX,
        gateway=("192.168.78.1/24",),
        nodes=tuple(
            LabNode(name, (f"{host}/24",), tree="hypervisor") for name, host in HOSTS.items()
        ),
        state=directory / "lab",
    )
    try:
        preflight(lab)
    except PreflightError as error:
        pytest.skip(f"no lab can be built here: {error}")
    source = directory / "site"
    source.mkdir()
    found = Hypervisors(lab, source)
    try:
        up(lab)
        (source / "inventory.py").write_text(_inventory(lab, source))
        for host in HOSTS:
            found.on(host, f"mkdir -p {POOL}/images")
            found.on(host, HALTING)
        yield found
    finally:
        down(lab)


def _inventory(lab: Lab, directory: Path) -> str:
    shared = {
        "ssh_user": "root",
        "ssh_key": str(client_key(lab)),
        "ssh_known_hosts_file": str(known_hosts(lab)),
        "ssh_strict_host_key_checking": "yes",
        "authorized_keys": [client_key(lab).with_suffix(".pub").read_text().strip()],
        # Most guests here have nothing on their disks: they neither answer nor obey.
        "boot_timeout": 0,
        "shutdown_timeout": 1,
        "vm_keys_directory": str(directory),
    }
    hosts = [
        (name, shared | {"ssh_hostname": host, "hypervisor_name": name})
        for name, host in HOSTS.items()
    ]
    return INVENTORY.format(prefix=lab.prefix, state=str(lab.state), hosts=hosts)
