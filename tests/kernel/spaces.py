"""Network namespaces of the tests' own: prefix gpt-, swept before and after."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from groundplane.project.state import NodeBase
from tests.kernel.world import ip, sysctl
from tests.states import BASE


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """Make the namespace gpt-<worker>-*name* with loopback up, and remove it."""
    full = f"gpt-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{name}"
    sweep = partial(subprocess.run, ["ip", "netns", "del", full], check=False, capture_output=True)
    sweep()
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
