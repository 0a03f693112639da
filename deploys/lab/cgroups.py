"""Control groups of the lab's own, on hosts where no systemd makes them.

Without one, systemd-nspawn makes its groups in the root of the host's hierarchies, and the
systemd of a node takes the host's processes for its own.
A group is also how the lab knows its processes again after a crash.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.mounts import read_mounts


def parse_hierarchies(mountinfo: str) -> tuple[Path, ...]:
    """The mounted hierarchies a node has to be confined in, version 2 first.

    A new cpuset group accepts no process before it is given CPUs, and systemd does not use it.
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
    """Make a group in every hierarchy and return its directories."""
    made = tuple(root / group for root in hierarchies())
    for directory in made:
        directory.mkdir(parents=True, exist_ok=True)
    return made


def list_children(group: str) -> set[str]:
    return {child.name for root in hierarchies() for child in (root / group).glob("*/")}


def read_members(group: str) -> set[int]:
    """The processes of the group itself: not those which a node put into groups below it."""
    return _read_processes(hierarchies()[0] / group)


def read_all(group: str) -> set[int]:
    """Every process of the group and of the groups below it."""
    return {
        pid
        for root in hierarchies()
        for directory, _, _ in os.walk(root / group)
        for pid in _read_processes(Path(directory))
    }


def end_processes(group: str, limit: float) -> None:
    """Ask the group's own processes to end, and end by force what is left after the limit."""
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
    """Remove a group that has no processes any more, and those below it."""
    for root in hierarchies():
        for directory, _, _ in os.walk(root / group, topdown=False):
            _remove_directory(Path(directory))


def _remove_directory(directory: Path) -> None:
    # The kernel lets go of a group a moment after its last process.
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
