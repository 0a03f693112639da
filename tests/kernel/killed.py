"""An agent that is killed, as by SIGKILL, at the Nth step of what it does to the world.

    python -m tests.kernel.killed N agent run ...

A step is each moment before and each after something that others can see: a netlink message that
is sent, nft that is run, a file that is written, synced, renamed or removed. Without N steps it
lives on. The file that KILLED_STEPS names has how many there were.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyroute2

from groundplane import netlink
from groundplane.cli import main
from groundplane.dataplanes.nftables import kernel


class Steps:
    """Counts, and ends the process at *last*."""

    def __init__(self, last: int) -> None:
        self._last, self._count = last, 0

    def step(self) -> None:
        self._count += 1
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        Path(os.environ["KILLED_STEPS"]).write_text(f"{self._count}")

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **options: Any) -> Any:
            self.step()
            try:
                return function(*arguments, **options)
            finally:
                self.step()

        return stepping


def wrap(steps: Steps) -> None:
    """Let everything that reaches the world be a step."""
    for owner, name in (
        (netlink.Socket, "_send"),
        (kernel, "_nft"),
        (pyroute2.IPRoute, "route"),
        (pyroute2.IPRoute, "addr"),
        (os, "fsync"),
        (os, "replace"),
        (os, "rename"),
        (os, "unlink"),
    ):
        setattr(owner, name, steps.around(getattr(owner, name)))


if __name__ == "__main__":
    wrap(Steps(int(sys.argv[1])))
    main(sys.argv[2:])
