"""Mounts under a directory: find them, and unmount them before deleting anything below."""

import re
import shutil
from pathlib import Path

from groundplane_deploys.lab.command import LabError, attempt, explain

_OCTAL = re.compile(r"\\([0-7]{3})")


def read_mounts(text: str) -> list[tuple[Path, str, str]]:
    """Return mount point, filesystem type and superblock options of each line of mountinfo."""
    found = []
    for line in text.splitlines():
        left, right = line.split(" - ", 1)
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), left.split()[4])
        kind, _, options = right.split(" ", 2)
        found.append((Path(point), kind, options))
    return found


def find_mounts(under: Path) -> list[Path]:
    """Return the mounts at or below a directory, innermost first."""
    points = [point for point, _, _ in read_mounts(Path("/proc/self/mountinfo").read_text())]
    return [point for point in reversed(points) if point.is_relative_to(under)]


def unmount_all(under: Path) -> None:
    """Unmount everything at or below a directory, even if it is in use."""
    for point in find_mounts(under):
        done = attempt(["umount", str(point)])
        if done.returncode != 0:
            done = attempt(["umount", "--lazy", str(point)])
        if done.returncode != 0:
            raise LabError(f"cannot unmount {point}: {explain(done)}")


def remove_tree(tree: Path) -> None:
    """Delete a directory without crossing into mounts."""
    unmount_all(tree)
    if left := find_mounts(tree):
        raise LabError(f"{left[0]} is still mounted, so {tree} is not deleted")
    if tree.exists():
        shutil.rmtree(tree)
