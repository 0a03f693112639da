"""Workloads that left this node, and whose networks are still here.

A program in such a network keeps its address and its connections, but services do not lead to it,
and no name server answers it once its node's configuration is removed.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from groundplane.kernel.owned import WORKLOAD_LINKS
from groundplane.project.node import interface_name

# With the instance of the unit: NAMESPACE-NAME.
REMEDY: Final = "stop what runs there, and run `systemctl disable --now groundplane-netns@{}`"
_NAMESPACES = Path("/run/netns")
_LINKS = Path("/sys/class/net")


def leftovers(present: Iterable[str], links: frozenset[str], wanted: Collection[str]) -> list[str]:
    """Return the namespaces in *present* that belong to workloads and are not in *wanted*.

    A namespace belongs to a workload if the node's end of its link is in *links*.
    """
    return sorted(
        name for name in present if name not in wanted and not links.isdisjoint(_links_to(name))
    )


def found_here(wanted: Collection[str]) -> list[str]:
    """Return the leftovers on this machine."""
    namespaces = [path.name for path in _NAMESPACES.glob("*")]
    if not namespaces:
        return []
    return leftovers(
        namespaces, frozenset(path.name for path in _LINKS.glob(f"{WORKLOAD_LINKS}*")), wanted
    )


def _links_to(instance: str) -> list[str]:
    """Return what the link to NAMESPACE-NAME may be called: either part may have hyphens."""
    parts = instance.split("-")
    return [
        interface_name("-".join(parts[:index]), "-".join(parts[index:]))
        for index in range(1, len(parts))
    ]
