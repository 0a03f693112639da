"""The lab's long-lived processes: run by systemd if available, otherwise by the lab itself."""

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from groundplane_deploys.lab import cgroups
from groundplane_deploys.lab.command import attempt, run

# `deploys` is a folder of the checkout, so a module of it runs from there.
PACKAGES = Path(__file__).parents[2]  # for a separate process to find this package

# Time limit for an orderly shutdown of a node.
STOP_LIMIT = 10.0


class Services(Protocol):
    """Interface of both process managers. A name is that of a node or a server."""

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        """Start a program that survives the caller and writes to a log."""

    def is_running(self, name: str) -> bool: ...

    def names(self) -> set[str]:
        """Return the names of all processes that left a trace, running or not."""

    def stop(self, names: Iterable[str]) -> None:
        """Stop all *names* in parallel and remove their traces; missing ones are ignored."""

    def close(self) -> None:
        """Remove the resources shared by all processes."""


def services(prefix: str) -> Services:
    if Path("/run/systemd/system").is_dir():
        return SystemdServices(prefix)
    return CgroupServices(prefix)


class CgroupServices:
    """One control group per process tree: <prefix>/<name>."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        groups = [str(group) for group in cgroups.create_group(self._group(name))]
        launcher = str(Path(__file__).with_name("launch.py"))
        run(
            [sys.executable, "-P", "-S", launcher, str(log), *groups, "--", *argv],
            env={"PYTHONPATH": str(PACKAGES)},
        )

    def is_running(self, name: str) -> bool:
        return bool(cgroups.read_members(self._group(name)))

    def names(self) -> set[str]:
        return cgroups.list_children(self._prefix)

    def stop(self, names: Iterable[str]) -> None:
        wanted = list(names)
        with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
            list(pool.map(self._stop, wanted))

    def close(self) -> None:
        cgroups.remove_group(self._prefix)

    def _group(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _stop(self, name: str) -> None:
        cgroups.end_processes(self._group(name), STOP_LIMIT)
        cgroups.remove_group(self._group(name))


class SystemdServices:
    """One transient unit per process tree: <prefix>-<name>.service in a slice of the lab."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        # A plain hyphen would put it below a slice that stays when this one is removed.
        self._slice = prefix.replace("-", r"\x2d") + ".slice"

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        properties = (
            f"Slice={self._slice}",
            "Delegate=yes",
            "KillMode=mixed",
            f"TimeoutStopSec={STOP_LIMIT:.0f}",
            "CollectMode=inactive-or-failed",
            "TasksMax=infinity",
            f"StandardOutput=append:{log}",
            f"StandardError=append:{log}",
            f"Environment=PYTHONPATH={PACKAGES}",
        )
        options = [f"--property={each}" for each in properties]
        run(["systemd-run", "--quiet", f"--unit={self._unit(name)}", *options, "--", *argv])

    def is_running(self, name: str) -> bool:
        return attempt(["systemctl", "--quiet", "is-active", self._unit(name)]).returncode == 0

    def names(self) -> set[str]:
        """Return the units of the lab's slice: other labs' units may also start with <prefix>-."""
        group = run(
            ["systemctl", "show", "--value", "--property=ControlGroup", self._slice]
        ).strip()
        found: set[str] = set()
        if group:
            for root in cgroups.hierarchies():
                for child in (root / group.lstrip("/")).glob(f"{self._prefix}-*.service"):
                    found.add(child.name.removeprefix(f"{self._prefix}-").removesuffix(".service"))
        return found

    def stop(self, names: Iterable[str]) -> None:
        units = [self._unit(name) for name in names]
        if units:
            # systemctl fails for a unit that is gone or never existed: the desired state.
            attempt(["systemctl", "stop", *units])
            attempt(["systemctl", "reset-failed", *units])

    def close(self) -> None:
        attempt(["systemctl", "stop", self._slice])

    def _unit(self, name: str) -> str:
        return f"{self._prefix}-{name}.service"
