"""The dataplane of the mode plain: every change loads all rules again, in one transaction."""

import subprocess
from collections.abc import Hashable

from groundplane.dataplanes.diff import Delta, patch
from groundplane.errors import KernelRefused
from groundplane.kernel.tables import Table, list_tables, remove_tables
from groundplane.project.state import NodeBase, Part
from tests.proxies.plain.rules import TABLE, Objects, render, ruleset


class Plain:
    """Implements `Dataplane` and `Collecting`."""

    name = "plain"

    def __init__(self) -> None:
        self._there: Objects = {}
        self._context: Hashable = None

    def context(self, base: NodeBase) -> Hashable:
        return (
            base.proxy_mode, base.families, base.addresses, base.subnets, base.service_cidrs,
            base.workload_cidrs, base.cluster_ips_from_outside,
        )  # fmt: skip

    def render(self, base: NodeBase, part: Part) -> Objects:
        return render(base, part)

    def read(self, base: NodeBase) -> Objects:
        """Return what this process has written, as far as it is there."""
        known = self._context == self.context(base) and bool(_tables())
        return self._there if known else {}

    def text(self, key: str, value: tuple[str, ...]) -> str:
        return f"{key}: {'; '.join(value)}"

    def write(self, base: NodeBase, delta: Delta[str, tuple[str, ...]]) -> None:
        wanted = patch(dict(self.read(base)), delta)
        if base.proxy_mode == self.name:
            script = ruleset(base, wanted)
            done = subprocess.run(["nft", "-f", "-"], input=script, text=True, capture_output=True)
            if done.returncode:
                raise KernelRefused(done.stderr)
        self._there, self._context = wanted, self.context(base)

    def collect(self, base: NodeBase) -> None:
        """Remove the rules once another mode's are there."""
        if base.proxy_mode != self.name:
            remove_tables(_tables())

    def close(self) -> None:
        pass


def _tables() -> list[Table]:
    return [each for each in list_tables() if each.name == TABLE]
