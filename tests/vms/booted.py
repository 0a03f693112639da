"""A VM that is a Debian machine: systemd is its first process, with one version of control groups.

It has the files of this machine, as every guest has, what a container lacks beside them (udev, and
AppArmor with its profiles), and a disk of its own for what it writes.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from groundplane_deploys.images.cache import cache_directory
from groundplane_deploys.locks import lock_file
from groundplane_deploys.process import run
from tests.vms.guest import boot, kernel_directory

_PACKAGES: Final = ("apparmor", "udev")

# Overlays lie on a real file system: that of the guest's other files is one itself.
_SCRIPT: Final = """\
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
release=$(uname -r)
rm -rf /lib/modules/$release
ln -s {kernel}/lib/modules/$release /lib/modules/$release
modprobe -a virtio_blk ext4
mkdir /before
mount --bind / /before
mount /dev/vda /var/lib
for each in /before/var/lib/*; do ln -s $each /var/lib; done
for each in {packages}/*; do cp -r $each/. /${{each##*/}}; done
wants=/etc/systemd/system/sysinit.target.wants
mkdir -p $wants
ln -sf /lib/systemd/system/apparmor.service $wants
cp /guest/guest.service /etc/systemd/system
# A container has the file, and a machine deletes what is in /tmp as it boots: it may be the checkout.
rm -f /.dockerenv
ln -s /dev/null /etc/tmpfiles.d/tmp.conf
exec /lib/systemd/systemd --unit=guest.service --show-status=0
"""
_UNIT: Final = """\
[Unit]
Description=The command of the guest
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=exec
Environment=HOME=/root LC_ALL=C.UTF-8
WorkingDirectory={directory}
ExecStart=/bin/sh /guest/command
"""
_COMMAND: Final = """\
( {command} ) >/guest/output 2>&1 </dev/null
echo $? >/guest/status
sync
"""


def run_booted(
    command: str, directory: Path, *, within: float, memory: int = 4096
) -> tuple[int, str]:
    """Run the shell *command* as a unit of systemd; return its status and its output.

    As `run_in_guest` otherwise.
    """
    kernel = kernel_directory()
    with tempfile.TemporaryDirectory(prefix="disk-") as name:
        disk = Path(name, "disk")
        run(["truncate", "--size=8G", str(disk)])
        run(["mke2fs", "-q", "-t", "ext4", str(disk)])
        return boot(
            kernel,
            {
                "script": _SCRIPT.format(kernel=kernel, packages=_packages()),
                "guest.service": _UNIT.format(directory=directory),
                "command": _COMMAND.format(command=command),
            },
            within=within,
            memory=memory,
            cpus=os.cpu_count() or 1,
            disk=disk,
        )


def _packages() -> Path:
    """Return a directory of the files of those packages; taken from Debian's archive once."""
    download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download"]
    uris = run([*download, "--print-uris", *_PACKAGES])
    cache = cache_directory().with_name("kernels")
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / f"packages-{hashlib.sha256(uris.encode()).hexdigest()[:8]}"
    with lock_file(cache / "lock", "another download of a kernel"):
        if not made.is_dir():
            new = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
            try:
                subprocess.run([*download, *_PACKAGES], cwd=new, check=True)
                for archive in new.glob("*.deb"):
                    run(["dpkg", "-x", str(archive), str(new)])
                    archive.unlink()
                new.chmod(0o755)
                new.rename(made)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    return made
