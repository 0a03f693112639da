"""Deploys to growing numbers of booted nodes, each from nothing and then for no change.

    python -m bench.deploys [--nodes 3,10,30]

Ratios are to the first number of nodes in the same run: a deploy whose time for each node stays
the same grows linearly. fs.inotify.max_user_instances, of which each node takes seven (see
groundplane_deploys.lab.preflight), is raised for as long as the nodes are there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from groundplane.compile.pipeline import read_catalog
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import down, up
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.preflight import INOTIFY, INOTIFY_LIMIT, count_inotify
from groundplane_deploys.lab.site import lab_of

PREFIX = "gp-bench"
CLUSTER = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: bench}
spec:
  serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
  workloadCIDRs:
  - {cidr: 10.244.0.0/16, nodePrefix: 24}
  - {cidr: "fd00:10:244::/48", nodePrefix: 64}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
NODE = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n{number}}}
spec: {{addresses: [192.168.50.{host}, "fd50::{host}"]}}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: web-{number}, labels: {{app: web}}}}
spec: {{node: n{number}}}
"""


class Times(NamedTuple):
    """Seconds of a deploy: from nothing, for no change, and of booting before.

    *memory* is what the machine had less at the end than before it booted the nodes, in MiB.
    """

    nodes: int
    boot: float
    first: float
    again: float
    memory: int


def catalog(nodes: int) -> str:
    """Return a site of *nodes* nodes with a workload each."""
    each = (NODE.format(number=number, host=10 + number) for number in range(1, nodes + 1))
    return CLUSTER + "".join(each)


def timed(*command: str) -> float:
    began = time.monotonic()
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), *command[1:]], cwd=ROOT, text=True, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


@contextmanager
def booted(source: Path) -> Iterator[float]:
    """Yield how long the nodes of the catalog in *source* took to boot."""
    lab: Lab = lab_of(read_catalog(source))
    try:
        down(lab)
        began = time.monotonic()
        up(lab)
        yield time.monotonic() - began
    finally:
        down(lab)


def available() -> int:
    """Return the machine's memory that is to be had, in MiB (proc_meminfo(5))."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) >> 10


@contextmanager
def enough_inotify(nodes: int) -> Iterator[None]:
    """Have as many inotify instances as *nodes* need, for the length of a block."""
    setting = Path("/proc/sys", *INOTIFY_LIMIT.split("."))
    before = int(setting.read_text())
    setting.write_text(str(max(before, count_inotify(Path("/proc")) + nodes * INOTIFY["node"])))
    try:
        yield
    finally:
        setting.write_text(str(before))


def measure(nodes: int, directory: Path) -> Times:
    source = directory / str(nodes)
    source.mkdir()
    (source / "site.yaml").write_text(catalog(nodes))
    os.environ |= {"GROUNDPLANE_LAB": PREFIX, "GROUNDPLANE_SOURCE": str(source)}
    timed("groundplane", "allocate", str(source))
    free = available()
    with enough_inotify(nodes), booted(source) as boot:
        deploy = ("pyinfra", "-y", "inventories/lab.py", "deploys/site.py")
        return Times(nodes, boot, timed(*deploy), timed(*deploy), free - available())


def shown(times: Sequence[Times]) -> Iterator[str]:
    """Yield the lines of the table."""
    least = times[0]
    yield (
        f"{'nodes':>6} {'boot':>8} {'deploy':>9} {'a node':>8} {'again':>9} {'a node':>8}"
        f" {'memory':>10} {'a node':>8}"
    )
    for each in times:
        first, again = each.first / each.nodes, each.again / each.nodes
        yield (
            f"{each.nodes:>6} {each.boot:>6.1f} s {each.first:>7.1f} s {first:>6.2f} s "
            f"{each.again:>7.1f} s {again:>6.2f} s {each.memory:>6} MiB"
            f" {each.memory / each.nodes:>4.0f} MiB"
            f"   a node: {first * least.nodes / least.first:.2f} x, "
            f"{again * least.nodes / least.again:.2f} x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.deploys", description=__doc__)
    parser.add_argument("--nodes", default="3,10,30", metavar="NUMBER,...")
    numbers = [int(each) for each in parser.parse_args().nodes.split(",")]
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as directory:
        found = []
        for nodes in numbers:
            found.append(measure(nodes, Path(directory)))
            print(
                f"{nodes} nodes: {found[-1].first:.1f} s, then {found[-1].again:.1f} s", flush=True
            )
    print("\n".join(shown(found)))


if __name__ == "__main__":
    main()
