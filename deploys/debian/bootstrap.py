"""The command lines that make a Debian in a directory and keep what they mount to themselves."""

from collections.abc import Sequence
from pathlib import Path

# However the caller ends, these end with it, and take their processes and mounts along.
_ALONE = (
    *("setpriv", "--pdeathsig", "KILL"),
    "unshare",
    *("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"),
)


def compose_debootstrap(root: Path, mirror: str, suite: str, packages: Sequence[str]) -> list[str]:
    """The command line that fills the directory *root* with a Debian that has *packages*."""
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
    """The command line that runs a shell *script* inside the tree *root*, which sees its own /proc."""
    inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -euc "$1"'
    return [*_ALONE, "sh", "-c", inside, str(root), script]
