"""What the agent's child does: YAML to a snapshot, at 10,000 services of 10 endpoints."""

import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from groundplane.allocate import LOCK_NAME, Lock, allocate, format_lock
from groundplane.compile.pipeline import compile_source, read_catalog
from groundplane.site.encoding import encode

T = TypeVar("T")

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


def _row(what: str, function: Callable[[], T]) -> T:
    start = time.perf_counter()
    result = function()
    print(f"  {what:<58}{time.perf_counter() - start:10.2f} s", flush=True)
    return result


def show(services: int = 10_000, endpoints: int = 10) -> None:
    """Print what each step takes, and the memory of it all."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        size = write_catalog(directory, services, endpoints)
        print(f"{services:,} services x {endpoints} endpoints, {size / 1e6:.0f} MB of YAML")
        catalog = _row("YAML loaded and checked", partial(read_catalog, directory))
        allocated = _row("every address allocated, from an empty lock",
                         partial(allocate, catalog, Lock()))  # fmt: skip
        (directory / LOCK_NAME).write_text(format_lock(allocated.lock))
        del catalog, allocated
        _row("compiled as an agent's child does: load, check, match, encode",
             lambda: encode(compile_source(directory)))  # fmt: skip
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"  {'memory of it, at most':<58}{megabytes:10d} MB")
