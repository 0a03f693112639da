"""10,000 services of 10 endpoints: compiled, loaded into a kernel, changed; beside nft in one run.

    python bench/scale.py [--services 10000] [--endpoints 10] [--changes 300]

As root: every ruleset is loaded into a network namespace of its own, which goes with the process.
Times are wall-clock, the best of three for what can be repeated; ratios are what to compare between
machines.
"""

import argparse
import ctypes
import gc
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from groundplane.allocate import LOCK_NAME, Lock, allocate, format_lock
from groundplane.dataplanes.nftables import Nftables
from groundplane.dataplanes.nftables.maps import Element
from groundplane.files import node_files
from groundplane.model import compiled
from groundplane.pipeline import compile_source, read_catalog
from groundplane.project import ServiceIndex, project, update
from groundplane.reconcile import Reconciler

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000

CLUSTER = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: bench}
spec:
  serviceCIDRs: [10.96.0.0/14]
  workloadCIDRs: [{cidr: 10.128.0.0/9, nodePrefix: 18}]
"""
NODE = """\
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n{number}}}
spec: {{addresses: [192.168.0.{host}]}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: service-{number}, namespace: ns-{space}}}
spec:
  selector: {{app: app-{number}}}
  ports:
  - {{name: http, port: 80, targetPort: http}}
"""
WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: app-{number}-{index}, namespace: ns-{space}, labels: {{app: app-{number}}}}}
spec: {{node: n{node}, ports: [{{name: http, port: 8080}}]}}
"""
NODES, NAMESPACES = 100, 100


def write_catalog(directory: Path, services: int, endpoints: int) -> int:
    """Write the YAML of the site, a file for each namespace; return its size in bytes."""
    (directory / "cluster.yaml").write_text(CLUSTER)
    nodes = [NODE.format(number=n, host=n + 1) for n in range(NODES)]
    (directory / "nodes.yaml").write_text("---\n".join(nodes))
    for space in range(NAMESPACES):
        documents = []
        for number in range(space, services, NAMESPACES):
            documents.append(SERVICE.format(number=number, space=space))
            documents += [
                WORKLOAD.format(number=number, index=i, space=space, node=(number + i) % NODES)
                for i in range(endpoints)
            ]
        (directory / f"ns-{space}.yaml").write_text("---\n".join(documents))
    return sum(path.stat().st_size for path in directory.iterdir())


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that *function* took, and what it returned."""
    gc.collect()
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def new_network() -> None:
    """Leave this process's network namespace, and all rules in it, for an empty one."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise SystemExit("bench: root is needed, to make network namespaces")


def row(what: str, seconds: float, beside: float | None = None) -> None:
    ratio = f"{beside / seconds:10.1f} x" if beside else ""
    unit, value = ("ms", seconds * 1e3) if seconds < 1 else ("s ", seconds)
    print(f"  {what:<58}{value:9.3f} {unit}{ratio}", flush=True)


def memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def compile_catalog(directory: Path) -> bytes:
    """Print what each step from YAML to the compiled site takes; return that, encoded."""
    seconds, catalog = timed(lambda: read_catalog(directory))
    row("YAML loaded and checked", seconds)
    seconds, allocations = timed(partial(allocate, catalog, Lock()))
    row("every address allocated, from an empty lock", seconds)
    (directory / LOCK_NAME).write_text(format_lock(allocations.lock))
    seconds, site = timed(lambda: compile_source(directory))
    row("compiled as an agent's child does: load, check, match", seconds)
    return msgspec.json.encode(site)


def project_and_bring(site: compiled.Site, plane: Reconciler[Element, bytes]) -> int:
    return plane.bring(project(site, "n0", frozenset()))


def load(encoded: bytes) -> tuple[compiled.Site, float]:
    """Print what loading takes from a decoded site to a loaded kernel; return the best time."""
    seconds, site = timed(lambda: msgspec.json.decode(encoded, type=compiled.Site))
    row(f"compiled site decoded ({len(encoded) >> 20} MB of JSON)", seconds)
    gc.freeze()
    gc.disable()
    totals = []
    for _ in range(3):
        new_network()
        plane = Reconciler(Nftables())

        totals.append(timed(partial(project_and_bring, site, plane))[0])
        plane.plane.close()
    return site, min(totals)


def load_with_nft(site: compiled.Site) -> float:
    """Return what `nft -f` takes for the same ruleset as a file."""
    text = node_files(project(site, "n0", frozenset()))["nftables.nft"]
    with tempfile.NamedTemporaryFile("w", suffix=".nft") as file:
        file.write(text)
        file.flush()
        times = []
        for _ in range(3):
            new_network()
            times.append(timed(lambda: subprocess.run(["nft", "-f", file.name], check=True))[0])
    return min(times)


def change(site: compiled.Site, changes: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each change of one endpoint: by the agent's path, and by nft."""
    new_network()
    plane = Reconciler(Nftables())
    state, failing, index = (
        project(site, "n0", frozenset()),
        frozenset[tuple[str, str]](),
        ServiceIndex(site),
    )
    plane.bring(state)
    own = []
    services = site.services[:: max(1, len(site.services) // changes)][:changes]
    for service in services:
        after = failing ^ {(service.namespace, service.endpoints[0].workload)}
        start = time.perf_counter()
        state, keys = update(state, index, failing, after)
        plane.bring(state, keys)
        own.append(time.perf_counter() - start)
        failing = after
    beside = []
    for number in range(min(changes, 5)):
        script = f"add element ip groundplane nodes {{ 203.0.113.{number} }}\n"
        nft = partial(subprocess.run, ["nft", "-f", "-"], input=script, text=True, check=True)
        beside.append(timed(nft)[0])
    plane.plane.close()
    return own, beside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10)
    parser.add_argument("--changes", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        size = write_catalog(Path(name), given.services, given.endpoints)
        print(
            f"{given.services:,} services of {given.endpoints} endpoints, {size >> 20} MB of YAML"
        )
        encoded = compile_catalog(Path(name))
        print(f"  {'memory of the compiling process, at most':<58}{memory_mb():9d} MB")
    site, seconds = load(encoded)
    nft = load_with_nft(site)
    row("loaded: decoded site -> projected, rendered, in the kernel", seconds, nft)
    row("  beside: `nft -f` of the same ruleset, already rendered", nft)
    own, beside = change(site, given.changes)
    quantiles = statistics.quantiles(own, n=100)
    row("one endpoint changed, by the agent's path (median)", statistics.median(own), min(beside))
    row("one endpoint changed, by the agent's path (99th percentile)", quantiles[98], min(beside))
    row("  beside: `nft -f` of one element into the same ruleset", min(beside))


if __name__ == "__main__":
    main()
