"""Join the lab's network from Python, so that programs on the host can reach the nodes."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.network import namespace_path

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter(lab: Lab) -> None:
    """Move the calling thread, and everything it starts later, into the lab's network."""
    path = namespace_path(lab.prefix)
    if not path.exists():
        raise LabError(f"the lab {lab.prefix} is not up")
    _join(path)


@contextlib.contextmanager
def entered(lab: Lab) -> Iterator[None]:
    """Join the lab's network for the duration of a block."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(lab)
        try:
            yield
        finally:
            _set_namespace(before)
    finally:
        os.close(before)


def _join(path: Path) -> None:
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(namespace)
    finally:
        os.close(namespace)


def _set_namespace(descriptor: int) -> None:
    # os.setns exists from Python 3.12 on.
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise LabError(f"cannot change the network namespace: {os.strerror(ctypes.get_errno())}")
