"""Supervisor of one node: create its network, boot it, and boot it again after a reboot request.

systemd-nspawn restarts a node itself only if it may create a unit for it. If told to keep its
current unit, it exits with a status that asks its parent to restart it.
Restarting here has an advantage: each boot gets a fresh network, as on real hardware, and no rule,
route or link survives a reboot that should not.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from groundplane_deploys.lab.network import namespace_path, node_namespace, plug_node

_REBOOT = 133


def compose_boot(prefix: str, name: str, root: Path, devices: Iterable[Path] = ()) -> list[str]:
    """Return the command line that boots a node with access to *devices* of the machine."""
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={root}",
        f"--machine={prefix}-{name}",
        f"--hostname={name}",
        "--register=no",
        "--keep-unit",
        "--settings=no",
        f"--network-namespace-path={namespace_path(node_namespace(prefix, name))}",
        # nspawn drops it for a node whose namespace it did not create.
        "--capability=CAP_NET_ADMIN",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=pipe",
        *(f"--bind={device}" for device in devices),
    ]


def devices_of(tree: str) -> list[Path]:
    """Return the devices of this machine for a node of *tree*: taps, and kvm if it exists."""
    wanted = ("/dev/net/tun", "/dev/kvm") if tree == "hypervisor" else ()
    return [Path(path) for path in wanted if Path(path).exists()]


def keep(prefix: str, name: str, root: Path, devices: Iterable[Path] = ()) -> int:
    """Run the node, with reboots, until it is powered off or this process is told to end."""
    running: subprocess.Popen[bytes] | None = None
    stopping = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopping.set()
        if running is not None:
            running.terminate()

    signal.signal(signal.SIGTERM, stop)
    # Without it /proc/sys/net is read-only in the node, and systemd-sysctl fails silently.
    environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
    while not stopping.is_set():
        plug_node(prefix, name)
        running = subprocess.Popen(compose_boot(prefix, name, root, devices), env=environment)
        if stopping.is_set():
            running.terminate()
        status = running.wait()
        if status != _REBOOT:
            return status
        print(f"lab: {name} reboots", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1], sys.argv[2], Path(sys.argv[3]), devices_of(sys.argv[4])))
