"""Connections through a service of the lab that stand while something happens to its nodes."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from groundplane_deploys.lab import ssh_config
from tests.nodes.conftest import EVERY_WEB, PREFIX, Deployed

_STANDING: Final = Path(__file__).with_name("standing.py").read_text()
_EACH: Final = 12

Place = tuple[str, str]  # a node, and the namespace of a workload there, "" for the node's own


def cluster_ip(site: Deployed, name: str = "web") -> str:
    return next(each.cluster_ips[0] for each in site.services if each.name == name)


@contextmanager
def standing(site: Deployed, *places: Place) -> Iterator[None]:
    """Have connections through a service stand meanwhile: each is answered after it."""
    clients = [_start(site, *place) for place in places]
    try:
        for client in clients:
            assert client.stdout is not None
            assert "standing\n" == client.stdout.readline()
        yield
        for client in clients:
            output, _ = client.communicate(timeout=30)
            counts = json.loads(output)
            assert _EACH == sum(counts.values())
            assert EVERY_WEB >= set(counts), counts
    finally:
        for client in clients:
            client.kill()
            client.wait()


def _start(site: Deployed, node: str, netns: str) -> subprocess.Popen[str]:
    inside = f"ip netns exec {netns} " if netns else ""
    command = f"{inside}python3 -c {shlex.quote(_STANDING)} {cluster_ip(site)} 80 {_EACH}"
    ssh = ["ssh", "-F", str(ssh_config(site.lab)), node, command]
    return subprocess.Popen(
        ["ip", "netns", "exec", PREFIX, *ssh],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
