"""Command lines that create a Debian in a directory; their mounts are private."""

from collections.abc import Sequence
from pathlib import Path

# These end when the caller ends for any reason, with their processes and mounts.
_ALONE = (
    *("setpriv", "--pdeathsig", "KILL"),
    "unshare",
    *("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"),
)


def compose_debootstrap(root: Path, mirror: str, suite: str, packages: Sequence[str]) -> list[str]:
    """Return the command line that creates a Debian with *packages* in the directory *root*."""
    return [
        *_ALONE,
        "debootstrap",
        "--variant=minbase",
        "--force-check-gpg",
        f"--include={','.join(packages)}",
        suite,
        str(root),
        mirror,
    ]


def compose_script(root: Path, script: str) -> list[str]:
    """Return the command line that runs a shell *script* in the tree *root*, with its own /proc."""
    inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -euc "$1"'
    return [*_ALONE, "sh", "-c", inside, str(root), script]
