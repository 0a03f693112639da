"""A site of its own in a lab of its own: the project's commands against it, as the README says them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source, read_catalog
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import PreflightError, down, preflight, ssh_config, up
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.site import lab_of
from tests.waiting import PATIENCE

# A cluster of both families, as far as the fields of its spec that a test says besides.
CLUSTER = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: small, labels: {lab/servers: example}}
spec:
  serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
  workloadCIDRs:
  - {cidr: 10.244.0.0/16, nodePrefix: 24}
  - {cidr: "fd00:10:244::/48", nodePrefix: 64}
"""


class Site:
    """The lab *lab*, with the catalog in *source*."""

    def __init__(self, lab: Lab, source: Path) -> None:
        self.lab, self.source = lab, source

    def run(self, *command: str) -> str:
        """Return the output of one of the project's own commands, run as the README says."""
        environment = {"GROUNDPLANE_LAB": self.lab.prefix, "GROUNDPLANE_SOURCE": str(self.source)}
        done = subprocess.run(
            [str(Path(sys.executable).with_name(command[0])), *command[1:]],
            cwd=ROOT,
            env=os.environ | environment | {"INVENTORY": "inventories/lab.py"},
            text=True,
            capture_output=True,
            timeout=3600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, limit: str, *deploys: str) -> list[str]:
        """Run pyinfra; return the names of the operations that changed something."""
        arguments = ("-y", "--json", "inventories/lab.py", "--limit", limit, *deploys)
        operations = json.loads(self.run("pyinfra", *arguments))["results"]["operations"]
        return [each["name"] for each in operations if each["success"] or each["error"]]

    def on(self, machine: str, command: str) -> str:
        inside = ["ip", "netns", "exec", self.lab.prefix, "ssh", "-F", str(ssh_config(self.lab))]
        done = subprocess.run(
            [*inside, machine, command], text=True, capture_output=True, timeout=PATIENCE * 60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def answers(self, node: str, times: int = 8) -> set[str]:
        """Return who answers at the cluster IP from *node*."""
        (service,) = [s for s in compile_source(self.source).services if s.name == "web"]
        url = f"http://{service.cluster_ips[0]}/"
        command = f"for n in $(seq {times}); do curl -s -m 5 {url}; done"
        return {line.split()[0] for line in self.on(node, command).splitlines()}


@contextmanager
def site_of(source: Path, prefix: str) -> Iterator[Site]:
    """Boot the machines of the catalog in *source*, in a lab named *prefix*, and remove them."""
    try:
        preflight(Lab())
    except PreflightError as error:
        pytest.skip(f"no lab can be built here: {error}")
    before = os.environ.get("GROUNDPLANE_LAB")
    os.environ["GROUNDPLANE_LAB"] = prefix
    lab = lab_of(read_catalog(source))
    try:
        down(lab)
        up(lab)
        yield Site(lab, source)
    finally:
        down(lab)
        if before is None:
            del os.environ["GROUNDPLANE_LAB"]
        else:
            os.environ["GROUNDPLANE_LAB"] = before
