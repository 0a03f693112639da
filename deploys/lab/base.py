"""The base trees: one Debian per kind of node, the lower layer of the nodes' file systems.

Each is built once, under a name derived from its contents, and never changed afterwards.
"""

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from groundplane_deploys.debian.apt import (
    NoMirror,
    choose_mirror,
    format_sources,
    read_machine_sources,
)
from groundplane_deploys.debian.bootstrap import compose_debootstrap
from groundplane_deploys.lab.command import LabError, run, say
from groundplane_deploys.lab.model import Tree
from groundplane_deploys.lab.mounts import remove_tree
from groundplane_deploys.locks import lock_file

SUITES: Mapping[Tree, str] = {"node": "bookworm", "node-13": "trixie", "hypervisor": "bookworm"}

# Change it whenever configure_tree changes.
RECIPE = 1

BASE_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-venv",
    "nftables",
    "iproute2",
    "bind9",
    "bind9-utils",
    "bind9-dnsutils",
    "conntrack",
    "iputils-ping",
    "curl",
    "procps",
    "systemd-timesyncd",
    "kmod",
    "netbase",
    # Needed by a node with a central source; the lab's network has no route to a mirror.
    "git",
    "ca-certificates",
)

# Packages of each tree; they include those of a deploy's first step.
TREES: Mapping[Tree, tuple[str, ...]] = {
    "node": BASE_PACKAGES,
    "node-13": BASE_PACKAGES,
    "hypervisor": (
        *BASE_PACKAGES,
        "dnsmasq-base",
        "genisoimage",
        # polkitd's "logind", which debootstrap does not find by itself
        "libpam-systemd",
        "libvirt-clients",
        "libvirt-daemon-driver-qemu",
        "libvirt-daemon-system",
        "qemu-system-x86",
        "qemu-utils",
    ),
}

ENABLED = ("systemd-networkd.service", "ssh.service")

# A deploy decides when a node becomes a name server.
DISABLED = ("named.service",)

# Hardware, disks, consoles and downloads: not available in a container.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "container-getty@.service",
    "dev-hugepages.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-pstore.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
)

SSHD_CONFIG = """\
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
# A test run opens a connection per fact and node.
MaxStartups 200:30:400
MaxSessions 100
"""


def base_key(packages: Sequence[str], recipe: int, suite: str, architecture: str) -> str:
    """Return a short digest of everything that determines the tree's content."""
    parts = [suite, architecture, str(recipe), *sorted(packages)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def ensure_base(cache: Path, kind: Tree = "node") -> Path:
    """Return the directory of a base tree; build it if it does not exist."""
    architecture = run(["dpkg", "--print-architecture"]).strip()
    packages, suite = TREES[kind], SUITES[kind]
    tree = cache / f"base-{base_key(packages, RECIPE, suite, architecture)}"
    if tree.is_dir():
        return tree
    cache.mkdir(parents=True, exist_ok=True)
    with lock_file(cache / "base.lock", "another build of the base tree"):
        if not tree.is_dir():
            for left in cache.glob("building-*"):
                remove_tree(left)
            _build(tree, packages, suite)
    return tree


def configure_tree(tree: Path, sources: str) -> None:
    """Turn debootstrap's result into a machine that boots in a container, without an identity."""
    _write(tree / "etc/apt/sources.list", sources)
    _write(tree / "etc/default/locale", "LANG=C.UTF-8\n")
    _write(tree / "etc/locale.conf", "LANG=C.UTF-8\n")
    _write(tree / "etc/ssh/sshd_config.d/10-lab.conf", SSHD_CONFIG)
    _write(tree / "etc/fstab", "")
    # systemd generates a machine ID for each node if there is none.
    _write(tree / "etc/machine-id", "")
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    for name in ("hostname", "hosts", "resolv.conf"):
        (tree / "etc" / name).unlink(missing_ok=True)
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for action, units in (("enable", ENABLED), ("disable", DISABLED), ("mask", MASKED)):
        run(["chroot", str(tree), "systemctl", "--quiet", action, *units])
    run(["chroot", str(tree), "apt-get", "clean"])
    for pattern in ("var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/log/*.log", "var/log/apt/*"):
        for path in tree.glob(pattern):
            if path.is_file():
                path.unlink()


def _build(tree: Path, packages: Sequence[str], suite: str) -> None:
    sources = read_machine_sources()
    try:
        mirror = choose_mirror(sources, suite)
    except NoMirror as error:
        raise LabError(str(error)) from error
    say("base tree: debootstrap (once, about 2 minutes)")
    began = time.monotonic()
    building = Path(tempfile.mkdtemp(prefix="building-", dir=tree.parent))
    log = tree.parent / "base.log"
    try:
        root = building / "root"
        try:
            report = run(
                compose_debootstrap(root, mirror, suite, packages), env={"LC_ALL": "C.UTF-8"}
            )
        except LabError as error:
            saved = root / "debootstrap/debootstrap.log"
            log.write_text(saved.read_text(errors="replace") if saved.is_file() else f"{error}\n")
            raise LabError(f"base tree: debootstrap from {mirror} failed, see {log}") from error
        log.write_text(report)
        say("base tree: configuring")
        configure_tree(root, format_sources(sources, mirror, suite))
        root.rename(tree)
    finally:
        remove_tree(building)
    say(f"base tree: ready after {time.monotonic() - began:.0f} s in {tree}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
