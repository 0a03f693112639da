"""The nftables dataplane in a namespace of its own, as tests use it."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from groundplane.dataplanes.reconcile import Reconciler
from groundplane.project.state import NodeBase, NodeState
from tests.kernel.world import run, within
from tests.rulesets import dataplane, render
from tests.states import service

A = service("a", ["10.96.0.2", "fd00:96::2"], ["10.244.1.10:80", "fd00:244:0:1::10:80"])
B = service("b", ["10.96.0.3", "fd00:96::3"], ["10.244.1.11:80", "10.244.1.12:81"], pool=4)
FOREIGN = (
    "table inet theirs {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.9 }\n\t}\n}\n"
)


class Node:
    """A namespace, and the dataplane in it."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.plane = within(netns, dataplane)
        self.reconciler = Reconciler(self.plane)

    def close(self) -> None:
        self.plane.close()

    def apply(self, wanted: NodeState) -> int:
        return len(within(self.netns, partial(self.reconciler.apply, wanted)))

    def restarted(self, wanted: NodeState) -> int:
        """Return how much a freshly started agent changes for *wanted*."""

        def apply() -> int:
            plane = dataplane()
            try:
                return len(Reconciler(plane).apply(wanted))
            finally:
                plane.close()

        return within(self.netns, apply)

    def listed(self, *what: str) -> str:
        return run(self.netns, "nft", *(what or ("list", "ruleset")))

    def whole(self) -> list[Any]:
        """Return the ruleset without handles; elements, of which the kernel has its own order, sorted."""
        objects = json.loads(self.listed("-j", "list", "ruleset"))["nftables"][1:]
        for each in objects:
            (body,) = each.values()
            body.pop("handle", None)
            if isinstance(body.get("elem"), list):
                body["elem"].sort(key=json.dumps)
        return list(objects)

    def elements(self, base: NodeBase) -> dict[bytes, bytes]:
        """Return the elements of all our maps."""
        connection = self.plane._connection

        def dump() -> dict[bytes, bytes]:
            return dict(
                pair for map_ in self.plane.maps(base) for pair in connection.elements(map_)
            )

        return within(self.netns, dump)

    def load(self, script: str) -> None:
        run(self.netns, "nft", script)

    def drifted(self) -> bool:
        return within(self.netns, self.reconciler.drift) is not None

    def generation(self) -> int:
        return within(self.netns, self.plane._connection.generation)


def elements_of(wanted: NodeState) -> Mapping[bytes, bytes]:
    rendered = (render(wanted.base, part) for part in wanted.parts)
    return {key: data for part in rendered for key, data in part.items()}
