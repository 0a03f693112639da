"""IPVS and rules on one kernel, in one run: first load, one change, a look for drift, memory, connecting.

    python -m bench.ipvs [--services 10000] [--endpoints 10] [--changes 100] [--connections 300]

As root, on a kernel with IPVS; `python -m tests.vms.guest .venv/bin/python -m bench.ipvs` boots one.
Times are wall-clock; what to compare between machines is the ratios.
"""

import argparse
import dataclasses
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bench.network import Way, around, connect, new_network
from bench.sites import site
from groundplane.dataplanes.reconcile import ALL, Reconciler
from groundplane.project import NodeState, project, project_service
from groundplane.project.extent import Extent, Only
from groundplane.project.persistent_map import changed
from groundplane.project.select_endpoints import Place
from groundplane.proxies.node import planes_of_the_proxies
from groundplane.site.compiled import Service

MODES: Final[tuple[str, ...]] = ("nftables", "ipvs")
_SYSCTLS: Final = ("net.ipv4.vs.conntrack=1", "net.ipv4.vs.expire_nodest_conn=1")


class Measured(NamedTuple):
    """Of one mode; seconds, and MiB that the kernel took."""

    load: float
    change: float
    worst_change: float
    look: float
    memory: float
    connect: float
    without: float  # to connect by a way without rules


class Node:
    """What brings one network namespace to states of one mode."""

    def __init__(self) -> None:
        self._reconcilers = [Reconciler(plane) for plane in planes_of_the_proxies()]

    def apply(self, state: NodeState, extent: Extent = ALL) -> float:
        """Return how long it took."""
        return timed(lambda: [each.apply(state, extent) for each in self._reconcilers])

    def look(self) -> float:
        """Return how long it takes to see whether others changed something."""
        return timed(lambda: [each.drift() for each in self._reconcilers])


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def kernel_memory() -> float:
    """Return the MiB that the kernel has for itself: slabs, and per CPU."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    found = {name.rstrip(":"): int(value) for name, value, *_ in lines}
    return (found["Slab"] + found["Percpu"] + found.get("VmallocUsed", 0)) / 1024


def measure(mode: str, services: int, endpoints: int, changes: int, times: int) -> Measured:
    """Load a site into a namespace of this process's own, change it, and connect through it."""
    new_network()
    made = site(services, endpoints, mixed=False)
    nodes = tuple(msgspec.structs.replace(each, proxy_mode=mode) for each in made.nodes)
    made = msgspec.structs.replace(made, nodes=nodes)
    state = project(made, "n0", frozenset())
    with around():
        if mode == "ipvs":
            subprocess.run(["sysctl", "-qw", *_SYSCTLS], check=True)
        node = Node()
        before = kernel_memory()
        load = node.apply(state)
        memory = kernel_memory() - before
        plain = made.services[0]
        _show(f"{mode}: loaded {services} services in {load:.2f} s")
        seconds = []
        for number in range(changes):
            service = made.services[number * 7 % services]
            workload = service.endpoints.workloads[0]
            for failing in (frozenset({(service.namespace, workload)}), frozenset[Any]()):
                state = changed_state(state, service, failing)
                seconds.append(node.apply(state, Only([service.key])))
        look = statistics.median(node.look() for _ in range(5))
        ways = [
            Way("without", "198.18.3.1", "198.18.4.2", 8080),
            Way("service", "10.250.0.1", plain.cluster_ips[0], 80),
        ]
        found = {name: statistics.median(each) for name, each in connect(ways, times).items()}
    worst = sorted(seconds)[int(len(seconds) * 0.99)]
    change = statistics.median(seconds)
    return Measured(load, change, worst, look, memory, found["service"], found["without"])


def changed_state(
    state: NodeState, service: Service, failing: frozenset[tuple[str, str]]
) -> NodeState:
    projected = project_service(service, Place("n0", ""), failing)
    return dataclasses.replace(state, services=changed(state.services, {service.key: projected}))


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, number in (("services", 10000), ("endpoints", 10), ("changes", 100),
                         ("connections", 300)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args()
    if not Path("/proc/net/ip_vs").exists():
        subprocess.run(["modprobe", "ip_vs"], check=True)
    wanted = options.services, options.endpoints, options.changes, options.connections
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = {mode: pool.apply(measure, (mode, *wanted)) for mode in MODES}
    rules, ipvs = found["nftables"], found["ipvs"]
    print(f"{options.services} services x {options.endpoints} endpoints; ipvs, nftables, ratio")
    rows = (
        ("first load, s", ipvs.load, rules.load),
        ("one endpoint changes, ms", ipvs.change * 1e3, rules.change * 1e3),
        ("the same, 99 % within, ms", ipvs.worst_change * 1e3, rules.worst_change * 1e3),
        ("a look for drift, ms", ipvs.look * 1e3, rules.look * 1e3),
        ("memory of the kernel, MiB", ipvs.memory, rules.memory),
        ("connect, times that without rules", ipvs.connect / ipvs.without,
         rules.connect / rules.without),
    )  # fmt: skip
    for name, one, other in rows:
        print(f"{name:36} {one:10.3f} {other:10.3f} {one / other if other else 0:8.2f}")


if __name__ == "__main__":
    main()
