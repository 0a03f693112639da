"""A machine that boots an image under QEMU, with a seed for cloud-init, in a network of its own."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "gp-imgtest"
PORT = 2222
USER = "ops"
"""Who may do all by sudo."""
MAC = "02:67:70:00:00:01"

NETWORK = f"""\
version: 2
ethernets:
  nic:
    match: {{ macaddress: "{MAC}" }}
    addresses: [ 10.0.2.77/24, "fec0::77/64" ]
    routes: [ {{ to: 0.0.0.0/0, via: 10.0.2.2 }} ]
    accept-ra: false
    nameservers: {{ addresses: [ 10.0.2.3 ] }}
"""


@dataclass(frozen=True)
class Machine:
    """One that is on; *seconds* is the time from power to an answer by ssh."""

    directory: Path
    seconds: float

    def on(self, command: str) -> str:
        done = _ssh(self.directory, command)
        assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout.strip()


@contextmanager
def booted(image: Path, directory: Path, disk: str, limit: float = 400) -> Iterator[Machine]:
    """Boot a copy-on-write *disk* ("4G") of *image*; files are left in *directory*."""
    seed, overlay = directory / "seed.iso", directory / "disk.qcow2"
    if not overlay.exists():
        _write_seed(directory, seed)
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, overlay, disk)
    if Path("/run/netns", PREFIX).exists():  # of a run that was killed
        _run("ip", "netns", "delete", PREFIX)
    _run("ip", "netns", "add", PREFIX)
    console = directory / "console.log"
    began = time.monotonic()
    try:
        _run("ip", "-n", PREFIX, "link", "set", "lo", "up")
        machine = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{PREFIX}",
             "qemu-system-x86_64", "-name", PREFIX, "-accel", "tcg,thread=multi", "-cpu", "max",
             "-smp", "2", "-m", "1024", "-display", "none", "-serial", f"file:{console}",
             "-drive", f"file={overlay},if=virtio", "-drive", f"file={seed},if=virtio,format=raw",
             "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{PORT}-10.0.2.77:22",
             "-device", f"virtio-net-pci,netdev=n,mac={MAC}"],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while _ssh(directory, "true").returncode:
                assert machine.poll() is None, console.read_text(errors="replace")[-3000:]
                if time.monotonic() - began > limit:
                    raise AssertionError(console.read_text(errors="replace")[-3000:])
                time.sleep(0.5)
            yield Machine(directory, time.monotonic() - began)
        finally:
            machine.kill()
            machine.wait()
    finally:
        _run("ip", "netns", "delete", PREFIX)


def _write_seed(directory: Path, seed: Path) -> None:
    for name in ("client", "host"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", directory / name)
    client = (directory / "client.pub").read_text().strip()
    host = (directory / "host").read_text().replace("\n", "\n    ")
    (directory / "known_hosts").write_text(
        f"[127.0.0.1]:{PORT} {(directory / 'host.pub').read_text()}"
    )
    (directory / "meta-data").write_text("instance-id: i-1\nlocal-hostname: web-1\n")
    (directory / "user-data").write_text(
        "#cloud-config\n"
        "disable_root: false\nssh_deletekeys: true\n"
        f"users:\n- name: root\n  ssh_authorized_keys: [ {client} ]\n"
        f"- name: {USER}\n  ssh_authorized_keys: [ {client} ]\n  shell: /bin/bash\n"
        "  sudo: 'ALL=(ALL) NOPASSWD:ALL'\n"
        f"ssh_keys:\n  ed25519_private: |\n    {host}\n"
        f"  ed25519_public: {(directory / 'host.pub').read_text()}"
    )
    (directory / "network-config").write_text(NETWORK)
    files = [directory / name for name in ("meta-data", "user-data", "network-config")]
    _run("genisoimage", "-quiet", "-output", seed, "-volid", "cidata", "-joliet", "-rock", *files)


def _ssh(directory: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nsenter", f"--net=/run/netns/{PREFIX}",
         "ssh", "-F", "none", "-p", str(PORT), "-i", str(directory / "client"),
         "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=5", "-o", "BatchMode=yes",
         "-o", f"UserKnownHostsFile={directory / 'known_hosts'}",
         "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes",
         "-o", "LogLevel=ERROR", "root@127.0.0.1", command],
        text=True, capture_output=True, timeout=120,
    )  # fmt: skip


def _run(*argv: str | Path) -> None:
    done = subprocess.run([str(each) for each in argv], text=True, capture_output=True)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
