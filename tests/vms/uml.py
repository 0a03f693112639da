"""User-Mode Linux: a kernel that is a process, boots in two seconds, and has IPVS.

It sees this machine's files and writes none. It has no families ip, ip6 and inet of nftables, one
CPU, and no network: what needs those runs in a VM (guest.py).
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from deploys.process import run
from tests.vms.kernels import kept, unpack

_INIT: Final = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t hostfs -o {here} here /mnt
mkdir /run/tmp /run/hypothesis
export TMPDIR=/run/tmp HYPOTHESIS_STORAGE_DIRECTORY=/run/hypothesis
# The kernel finds no modules by itself: there are those of the machine's own.
for each in {modules}; do modprobe -d {kernel} $each; done
ip link set lo up
cd {directory}
( {command} ) >/mnt/output 2>&1 </dev/null
echo $? >/mnt/status
echo o >/proc/sysrq-trigger
sleep 60
"""


def run_in_uml(command: str, directory: Path, *, within: float) -> tuple[int, str]:
    """Run the shell *command* in *directory*; return its status and its output.

    AssertionError, with what the kernel printed, where it has not ended *within* seconds.
    """
    kernel = _kernel()
    modules = sorted(each.stem for each in (kernel / "lib/modules").glob("*/kernel/**/ip_vs*.ko"))
    with tempfile.TemporaryDirectory(prefix="uml-") as name:
        here = Path(name)
        init = here / "init"
        init.write_text(
            _INIT.format(
                here=here,
                modules=" ".join(modules),
                kernel=kernel,
                directory=directory,
                command=command,
            )
        )
        init.chmod(0o755)
        try:
            done = subprocess.run(
                [
                    kernel / "usr/bin/linux.uml", "mem=1G", f"uml_dir={here}", "umid=uml",
                    "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}",
                    "con=null", "con0=null,fd:1", "quiet",
                ],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within,
            )  # fmt: skip
            printed = done.stdout + done.stderr
        except subprocess.TimeoutExpired as error:
            printed = f"not within {within} s; {(error.stdout or b'').decode(errors='replace')}"
        output = here / "output"
        text = output.read_text(errors="replace") if output.exists() else ""
        assert (here / "status").exists(), f"{printed}\n{text}"
        return int((here / "status").read_text()), text


def _kernel() -> Path:
    """Return the directory of the kernel and its modules."""
    shown = run(["apt-cache", "show", "--no-all-versions", "user-mode-linux"])
    (version,) = [line.split()[1] for line in shown.splitlines() if line.startswith("Version:")]
    return kept(f"user-mode-linux-{version}", _make)


def _make(directory: Path) -> None:
    unpack("user-mode-linux", directory)
    # Where modprobe looks for them below a directory.
    (directory / "lib").mkdir()
    shutil.move(directory / "usr/lib/uml/modules", directory / "lib/modules")
