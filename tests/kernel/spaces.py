"""Network namespaces of the tests' own: gpt-<pid of the run>-, so that two runs do not meet.

What a run left that was killed is swept by the next one.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Final

import msgspec

from groundplane.project.state import NodeBase
from tests.kernel.world import ip, sysctl
from tests.states import BASE

FILES: Final = Path("/etc/netns")


def own(name: str) -> str:
    """Return the name of a namespace, or the prefix of several, of this run."""
    _sweep_the_dead()
    return f"gpt-{os.getpid()}-{name}"


@cache
def _sweep_the_dead() -> None:
    for path in (*Path("/run/netns").glob("gpt-*"), *FILES.glob("gpt-*")):
        pid = path.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            subprocess.run(["ip", "netns", "del", path.name], check=False, capture_output=True)
            shutil.rmtree(FILES / path.name, ignore_errors=True)


@contextmanager
def files(netns: str, **texts: str) -> Iterator[None]:
    """Let programs of ip-netns(8) see *texts* as files of /etc; a name's first _ stands for a dot."""
    directory, made = FILES / netns, not FILES.exists()
    try:
        directory.mkdir(parents=True)
        for name, text in texts.items():
            (directory / name.replace("_", ".", 1)).write_text(text)
        yield
    finally:
        shutil.rmtree(directory)
        with suppress(OSError):  # another run's are there
            if made:
                FILES.rmdir()


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """Make the namespace *name* of this run with loopback up, and remove it."""
    full = own(name)
    sweep = partial(subprocess.run, ["ip", "netns", "del", full], check=False, capture_output=True)
    try:
        ip(f"netns add {full}", f"-n {full} link set lo up")
        sysctl(full, net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__all__accept_dad=0)
        yield full
    finally:
        sweep()


@contextmanager
def node(name: str) -> Iterator[str]:
    """Make a namespace with an uplink that has the addresses of BASE, and the bridge."""
    with namespace(name) as full:
        ip(
            f"-n {full} link add uplink type bridge",
            f"-n {full} link set uplink up",
            f"-n {full} address add 192.0.2.1/24 dev uplink",
            f"-n {full} address add 2001:db8::1/64 dev uplink nodad",
            f"-n {full} link add groundplane0 type bridge",
            f"-n {full} link set groundplane0 up",
        )
        yield full


def based(**changes: object) -> NodeBase:
    return msgspec.structs.replace(BASE, **changes)
