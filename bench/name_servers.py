"""Name servers for a benchmark: BIND as the nodes have it, and others with the same zone."""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.queries import answered, question

KEY = 'key "groundplane" { algorithm hmac-sha256; secret "YSBrZXkgb2YgYSBiZW5jaG1hcms="; };\n'


@dataclass
class NameServer:
    """A server that runs: the command *reloading* lets it read its zone's file again."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    reloading: Sequence[str] = ()

    def reload(self) -> None:
        subprocess.run(self.reloading, check=True, capture_output=True)

    def until_it_answers(self, name: str) -> float:
        """Wait until *name* has an address; return the seconds that took."""
        start = time.monotonic()
        while not address_of(self.port, name):
            if self.process.poll() is not None:
                raise SystemExit(f"bench: {self.name} ended")
            time.sleep(0.02)
        return time.monotonic() - start

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def address_of(port: int, name: str) -> str:
    """Return the address that *name* has at once, "" for none or no answer within a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect(("127.0.0.1", port))
        try:
            asking.send(question(name))
            return answered(asking.recv(1500))[1]
        except OSError:
            return ""


def _start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bind(directory: Path, config: str, port: int) -> NameServer:
    """Return BIND with the node's own configuration *config*."""
    private = "controls { };\noptions {\n  pid-file none; session-keyfile none;"
    file = directory / "named.conf"
    file.write_text(config.replace("options {", private, 1))
    process = _start("named", "-g", "-n", "2", "-c", str(file))
    return NameServer("BIND, updates", port, process)


def knot(directory: Path, zone: str, file: Path, port: int) -> NameServer | None:
    """Return Knot with *zone* from *file*; None where it is not installed."""
    if not shutil.which("knotd"):
        return None
    home = directory / "knot"
    home.mkdir()
    config = home / "knot.conf"
    config.write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {home}\ndatabase:\n  storage: {home}\n"
        f"zone:\n  - domain: {zone}\n    file: {file}\n    zonefile-sync: -1\n"
        "    journal-content: none\n"
    )
    process = _start("knotd", "-c", str(config))
    command = ["knotc", "-c", str(config), "-b", "zone-reload", zone]
    return NameServer("Knot, file and reload", port, process, command)


def unbound(directory: Path, zone: str, file: Path, port: int) -> NameServer | None:
    """Return unbound with *zone* from *file*; None where it is not installed."""
    if not shutil.which("unbound"):
        return None
    home = directory / "unbound"
    home.mkdir()
    config = home / "unbound.conf"
    config.write_text(
        f"server:\n  directory: {home}\n  chroot: ''\n  username: ''\n  pidfile: ''\n"
        f"  interface: 127.0.0.1@{port}\n  do-daemonize: no\n  use-syslog: no\n"
        f"  num-threads: 2\n  module-config: 'iterator'\n"
        f"remote-control:\n  control-enable: yes\n  control-interface: {home}/control\n"
        f"auth-zone:\n  name: {zone}\n  zonefile: {file}\n  for-downstream: yes\n"
        "  for-upstream: no\n"
    )
    process = _start("unbound", "-d", "-c", str(config))
    command = ["unbound-control", "-c", str(config), "auth_zone_reload", zone]
    return NameServer("unbound, file and reload", port, process, command)
