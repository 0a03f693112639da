"""The agent's own path from a site to the kernel, as the benches run it."""

import time
from concurrent.futures import ThreadPoolExecutor

from groundplane.agent import loop  # noqa: F401  (its memory is the agent's)
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables import Nftables
from groundplane.dataplanes.nftables.maps import Element
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.project import (
    NodeState,
    WorkloadIndex,
    project_base,
    project_change,
    project_services,
    update,
)
from groundplane.project.extent import Only
from groundplane.project.state import NodeBase
from groundplane.proxies.node import rules_of
from groundplane.site.snapshot import Snapshot, advance, decode

NODE = "n0"
NOBODY: frozenset[tuple[str, str]] = frozenset()


class Timed(Nftables):
    """The dataplane, which says how long its last write took."""

    seconds = 0.0

    def write(self, base: NodeBase, delta: Delta[Element, bytes]) -> None:
        start = time.perf_counter()
        super().write(base, delta)
        self.seconds = time.perf_counter() - start


class Agent:
    """What the agent does between an event and the kernel's acknowledgement, and no more."""

    def __init__(self, encoded: bytes) -> None:
        self.plane = Timed(rules_of)
        self.reconciler = Reconciler(self.plane)
        self.snapshot: Snapshot = decode(encoded)
        base = project_base(self.snapshot.site(NODE), NODE)
        with ThreadPoolExecutor(1) as worker:
            worker.submit(self.reconciler.prepare, base)
            self.state: NodeState = project_services(self.snapshot, base, NOBODY)
            worker.submit(self.reconciler.apply, self.state).result()
        self.failing = NOBODY

    def site(self, encoded: bytes) -> None:
        new, keys = advance(self.snapshot, encoded)
        self.state, extent = project_change(self.state, self.snapshot, new, keys, self.failing)
        self.snapshot = new
        self.reconciler.apply(self.state, extent)

    def health(self, index: WorkloadIndex, failing: frozenset[tuple[str, str]]) -> None:
        keys = index.concerned(self.failing ^ failing)
        self.state = update(self.state, self.snapshot, keys, failing)
        self.failing = failing
        self.reconciler.apply(self.state, Only(keys))

    def close(self) -> None:
        self.plane.close()
