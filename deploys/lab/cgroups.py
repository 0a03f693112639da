"""The lab's control groups, on hosts without systemd.

Without its own group, systemd-nspawn creates its groups in the root of the host's hierarchies, and
the systemd of a node takes the host's processes for its own.
The lab also uses the groups to find its processes after a crash.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.mounts import read_mounts


def parse_hierarchies(mountinfo: str) -> tuple[Path, ...]:
    """Return the mounted hierarchies in which a node must be confined, version 2 first.

    cpuset is left out: a new group accepts no process before it has CPUs, and systemd does not
    use it.
    """
    mounts = read_mounts(mountinfo)
    second = [point for point, kind, _ in mounts if kind == "cgroup2"]
    first = [
        point
        for point, kind, options in mounts
        if kind == "cgroup" and "cpuset" not in options.split(",")
    ]
    return tuple(dict.fromkeys([*second, *first]))


def hierarchies() -> tuple[Path, ...]:
    return parse_hierarchies(Path("/proc/self/mountinfo").read_text())


def create_group(group: str) -> tuple[Path, ...]:
    """Create a group in every hierarchy and return its directories."""
    made = tuple(root / group for root in hierarchies())
    for directory in made:
        directory.mkdir(parents=True, exist_ok=True)
    return made


def list_children(group: str) -> set[str]:
    return {child.name for root in hierarchies() for child in (root / group).glob("*/")}


def read_members(group: str) -> set[int]:
    """Return the processes of the group itself, without those that a node put into subgroups."""
    return _read_processes(hierarchies()[0] / group)


def read_all(group: str) -> set[int]:
    """Return the processes of the group and of its subgroups."""
    return {
        pid
        for root in hierarchies()
        for directory, _, _ in os.walk(root / group)
        for pid in _read_processes(Path(directory))
    }


def end_processes(group: str, limit: float) -> None:
    """Terminate the group's own processes; kill all that are left after *limit* seconds."""
    asked = read_members(group)
    _signal(asked, signal.SIGTERM)
    if not (asked and _wait_until_empty(group, limit)):
        deadline = time.monotonic() + 10
        while left := read_all(group):
            _signal(left, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise LabError(f"processes {sorted(left)} of {group} do not end")
            time.sleep(0.02)


def remove_group(group: str) -> None:
    """Remove an empty group and its subgroups."""
    for root in hierarchies():
        for directory, _, _ in os.walk(root / group, topdown=False):
            _remove_directory(Path(directory))


def _remove_directory(directory: Path) -> None:
    # The kernel releases a group a moment after its last process.
    for _ in range(200):
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise LabError(f"cannot remove the control group {directory}")


def _read_processes(directory: Path) -> set[int]:
    try:
        return {int(pid) for pid in (directory / "cgroup.procs").read_text().split()}
    except (FileNotFoundError, OSError):
        return set()


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids - {0, 1, os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait_until_empty(group: str, limit: float) -> bool:
    deadline = time.monotonic() + limit
    while read_all(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
