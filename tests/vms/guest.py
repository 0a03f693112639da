"""A VM with Debian's own kernel that sees this machine's files, and runs one command on them.

What a command needs that the kernel of this machine has not (IPVS), it finds there: the same
programs and the same Python environment, over 9p and never written; what it writes is gone with it.

    python -m tests.vms.guest .venv/bin/python -m bench.ipvs
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from groundplane_deploys.process import run
from tests.vms.kernels import kept, unpack

# What the first program has to load before it sees this machine's files.
_MODULES: Final = ("virtio_pci", "9p", "9pnet_virtio", "overlay", "virtio_rng")
_NO_BYTECODE: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
_KERNELS: Final = {"amd64": "linux-image-amd64"}

_INIT: Final = """\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
while read -r module; do $b insmod /modules/$module; done </modules/order
options=trans=virtio,version=9p2000.L,msize=1048576
$b mount -t 9p -o $options,ro,cache=loose host /host
$b mount -t tmpfs written /written
$b mkdir /written/upper /written/work
$b mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work all /root
for each in proc sys dev; do $b mkdir -p /root/$each; $b mount --move /$each /root/$each; done
$b mkdir -p /root/lib/modules /root/dev/shm /root/dev/pts /root/guest
$b mount -t tmpfs run /root/run
$b mount -t tmpfs shm /root/dev/shm
$b mount -t devpts devpts /root/dev/pts
$b mount -t 9p -o $options,rw guest /root/guest
exec $b switch_root /root /bin/sh /guest/script
"""
_SCRIPT: Final = """\
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
release=$(uname -r)
rm -rf /lib/modules/$release
ln -s {kernel}/lib/modules/$release /lib/modules/$release
ip link set lo up
cd {directory}
( {command} ) >/guest/output 2>&1 </dev/null
echo $? >/guest/status
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


def run_in_guest(
    command: str, directory: Path, *, within: float, memory: int = 2048
) -> tuple[int, str]:
    """Run the shell *command* in *directory*, with *memory* MiB; return its status and its output.

    It has one CPU: a second one only waits for the first where Python holds its lock, and the host
    is busy with both. Nothing else runs there. AssertionError, with what the guest printed, where it
    has not ended *within* seconds.
    """
    kernel = kernel_directory()
    script = _SCRIPT.format(kernel=kernel, directory=directory, command=command)
    return boot(kernel, {"script": script}, within=within, memory=memory, cpus=1)


def boot(
    kernel: Path,
    files: Mapping[str, str],
    *,
    within: float,
    memory: int,
    cpus: int,
    disk: Path | None = None,
) -> tuple[int, str]:
    """Boot the kernel in *kernel*, with *files* in /guest by name; "script" is the first process.

    *disk* is its /dev/vda. Returns what it left in /guest/status and /guest/output; AssertionError,
    with what it printed, where it has not ended *within* seconds, or has left no status.
    """
    with tempfile.TemporaryDirectory(prefix="guest-") as name:
        guest = Path(name)
        for path, text in files.items():
            (guest / path).write_text(text)
        try:
            done = subprocess.run(
                _qemu(kernel, guest, memory, cpus, disk),
                capture_output=True,
                text=True,
                timeout=within,
            )
            printed = done.stdout + done.stderr
        except subprocess.TimeoutExpired as error:
            printed = f"not within {within} s; {(error.stdout or b'').decode(errors='replace')}"
        output = guest / "output"
        text = output.read_text(errors="replace") if output.exists() else ""
        assert (guest / "status").exists(), f"{printed}\n{text}"
        return int((guest / "status").read_text()), text


def _qemu(kernel: Path, guest: Path, memory: int, cpus: int, disk: Path | None) -> Sequence[str]:
    block = ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"] if disk else []
    (image,) = (kernel / "boot").glob("vmlinuz-*")
    share = "security_model=none,multidevs=remap"
    return [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", str(cpus), "-m", str(memory), "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "stdio",
        "-kernel", str(image), "-initrd", str(kernel / "initrd"),
        # Several emulated CPUs read one TSC; the kernel takes it for unsynchronized, and asks a device.
        "-append", "console=ttyS0 quiet panic=1 mitigations=off net.ifnames=0 tsc=reliable",
        "-fsdev", f"local,id=host,path=/,readonly=on,{share}",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
        "-fsdev", f"local,id=guest,path={guest},{share}",
        "-device", "virtio-9p-pci,fsdev=guest,mount_tag=guest",
        "-device", "virtio-rng-pci",
        *block,
    ]  # fmt: skip


def keep_bytecode(*tests: str) -> None:
    """Have the bytecode of *tests*, and of what they import, beside the sources.

    A guest would compile all of it again, many times slower than this machine.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NO_BYTECODE}
    collect = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"]
    subprocess.run([*collect, *tests], env=environment, stdout=subprocess.DEVNULL, check=True)


def kernel_directory() -> Path:
    """Return the directory of a kernel, its modules and an initrd; taken from Debian's archive once."""
    meta = _KERNELS[run(["dpkg", "--print-architecture"]).strip()]
    shown = run(["apt-cache", "depends", "--important", meta]).split()
    name = shown[shown.index("Depends:") + 1]
    digest = hashlib.sha256(_INIT.encode()).hexdigest()[:8]
    return kept(f"{name}-{digest}", partial(_make, name))


def _make(package: str, directory: Path) -> None:
    unpack(package, directory)
    (release,) = (each.name for each in (directory / "lib/modules").iterdir())
    run(["depmod", "-b", str(directory), release])
    root = directory / "initrd.d"
    for each in ("bin", "proc", "sys", "dev", "host", "written", "root", "modules"):
        (root / each).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    order = _needed(directory, release)
    for module in order:
        shutil.copy(module, root / "modules")
    (root / "modules/order").write_text("".join(f"{module.name}\n" for module in order))
    names = "\n".join(str(path.relative_to(root)) for path in root.rglob("*"))
    with (directory / "initrd").open("wb") as file:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"],
            cwd=root, input=names.encode(), stdout=file, check=True,
        )  # fmt: skip
    shutil.rmtree(root)


def _needed(directory: Path, release: str) -> list[Path]:
    """Return the files of the modules in the order in which they are loaded."""
    found: dict[Path, None] = {}
    for module in _MODULES:
        shown = run(["modprobe", "--show-depends", "-d", str(directory), "-S", release, module])
        for line in shown.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "insmod":
                found[Path(rest.split()[0])] = None
    return list(found)


if __name__ == "__main__":
    ended, printed = run_in_guest(shlex.join(sys.argv[1:]), Path.cwd(), within=7200, memory=4096)
    print(printed, end="")
    sys.exit(ended)
