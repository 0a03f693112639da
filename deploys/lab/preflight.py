"""Report everything a machine lacks for a lab, all at once, before changing anything."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from groundplane_deploys.lab.cgroups import hierarchies
from groundplane_deploys.lab.command import LabError, attempt, explain
from groundplane_deploys.lab.model import Lab, Tree
from groundplane_deploys.lab.services import services

# Each program, and the Debian package that contains it.
PROGRAMS = {
    "chroot": "coreutils",
    "debootstrap": "debootstrap",
    "dpkg": "dpkg",
    "git": "git",
    "ip": "iproute2",
    "mount": "mount",
    "named": "bind9",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sysctl": "procps",
    "systemd-nspawn": "systemd-container",
    "umount": "mount",
    "unshare": "util-linux",
}

KERNEL = (6, 1)
NFT = (1, 0, 6)

# Of root; to the kernel, all nodes of a lab have the same root. A boot needs six, and a seventh for
# a while; on a hypervisor, a login starts another systemd with three.
INOTIFY: Mapping[Tree, int] = {"node": 7, "node-13": 7, "hypervisor": 10}
INOTIFY_LIMIT = "fs.inotify.max_user_instances"

_NOT_ROOT = "root: namespaces, mounts and control groups need it, run as root"


class PreflightError(LabError):
    """The machine cannot run a lab; one line for each reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


def preflight(lab: Lab) -> None:
    """Raise PreflightError if this machine lacks anything for this lab."""
    reasons = list(_find_missing(lab))
    if reasons:
        raise PreflightError(reasons)


def require_root() -> None:
    """Require root, which down and status need."""
    if os.geteuid() != 0:
        raise PreflightError([_NOT_ROOT])


def parse_version(text: str) -> tuple[int, ...]:
    """Return the first dotted number in a text."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _find_missing(lab: Lab) -> Iterator[str]:
    release = os.uname().release
    if parse_version(release) < KERNEL:
        yield f"kernel {release}: {_dotted(KERNEL)} or later is needed"
    missing = {name for name in PROGRAMS if shutil.which(name) is None}
    for name in sorted(missing):
        yield f"{name}: not found, install {PROGRAMS[name]}"
    if "nft" not in missing:
        version = attempt(["nft", "--version"]).stdout
        if parse_version(version) < NFT:
            yield f"nft: {_dotted(NFT)} or later is needed, this is {version.strip()}"
    if os.geteuid() != 0:
        yield _NOT_ROOT
        return
    if not missing & {"ip", "unshare"}:
        yield from _try_network()
    if not missing & {"mount", "unshare"}:
        yield from _try_overlay(lab)
    lacking = [] if Path("/run/systemd/system").is_dir() else list(_check_cgroups())
    yield from lacking
    if not lacking:  # which tells the nodes that run
        running = services(lab.prefix).is_running
        yield from check_inotify(
            sum(INOTIFY[node.tree] for node in lab.nodes if not running(node.name)),
            in_use=count_inotify(Path("/proc")),
            limit=int(Path("/proc/sys", *INOTIFY_LIMIT.split(".")).read_text()),
        )


def check_inotify(needed: int, *, in_use: int, limit: int) -> Iterator[str]:
    """Yield an error if *needed* more instances exceed *limit*: systemd would not fully boot."""
    if needed and in_use + needed > limit:
        yield (
            f"inotify: the nodes that boot need {needed} instances, and root has {in_use} of {limit} "
            f"in use: sysctl {INOTIFY_LIMIT}={in_use + needed}"
        )


def count_inotify(proc: Path, uid: int = 0) -> int:
    """Return the number of inotify instances of a user's processes."""
    return sum(_count_own(process, uid) for process in proc.glob("[0-9]*"))


def _count_own(process: Path, uid: int) -> int:
    try:
        if process.stat().st_uid != uid:
            return 0
        return sum(_target(each) == "anon_inode:inotify" for each in (process / "fd").iterdir())
    except OSError:  # it ended
        return 0


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # it was closed
        return ""


def _try_network() -> Iterator[str]:
    for feature, argv in (
        ("network namespaces", ["true"]),
        ("veth devices", ["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]),
        ("bridge devices", ["ip", "link", "add", "probe0", "type", "bridge"]),
    ):
        done = attempt(["unshare", "--net", *argv])
        if done.returncode != 0:
            yield f"{feature}: cannot be made here: {explain(done)}"


def _try_overlay(lab: Lab) -> Iterator[str]:
    """Try an overlay mount where disks will be: not every file system can be the upper layer."""
    parent = next(path for path in (lab.state, *lab.state.parents) if path.is_dir())
    try:
        probe = tempfile.TemporaryDirectory(prefix=f"{lab.prefix}-probe-", dir=parent)
    except OSError as error:
        yield f"state directory: {parent}: {error.strerror}"
        return
    with probe as name:
        layers = []
        for layer in ("lower", "upper", "work", "root"):
            directory = Path(name, layer)
            directory.mkdir()
            layers.append(f"{layer}dir={directory}")
        options = ",".join(layers[:3])
        mount = ["mount", "-t", "overlay", "probe", "-o", options, f"{name}/root"]
        done = attempt(["unshare", "--mount", "--propagation", "private", *mount])
        if done.returncode != 0:
            yield f"overlay file systems: cannot be mounted in {parent}: {explain(done)}"


def _check_cgroups() -> Iterator[str]:
    roots = hierarchies()
    if not roots:
        yield "control groups: none are mounted, and no systemd runs that would make them"
    for root in roots:
        if not os.access(root, os.W_OK) or os.statvfs(root).f_flag & os.ST_RDONLY:
            yield f"control groups: {root} is read-only"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
