"""What is in an image that is built: texts and names only, and the key that stands for them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from groundplane.deploy_api import render_template

LABEL: Final = "gp-root"
"""Of the root file system."""

# Change it whenever the disk is laid out in another way.
_LAYOUT: Final = 1

PACKAGES: Final = (
    "systemd",
    "systemd-sysv",
    "systemd-resolved",  # cloud-init gives networkd the name servers, and networkd gives them to it
    "dbus",
    "udev",
    "cloud-init",
    "cloud-guest-utils",  # growpart
    "e2fsprogs",
    "initramfs-tools",
    "zstd",
    "openssh-server",
    "ca-certificates",
    "iproute2",
    "iputils-ping",
    "netbase",
    "procps",
    "python3",
    "sudo",
)

_KERNELS: Final = {"amd64": "linux-image-cloud-amd64"}
_ENABLED: Final = ("systemd-networkd.service", "systemd-resolved.service", "ssh.service")
_MASKED: Final = ("e2scrub_reap.service",)  # for LVM, and slow


class UnknownArchitecture(ValueError):
    """No image can be built for this one."""


@dataclass(frozen=True)
class Recipe:
    """An image: a Debian *suite* for an *architecture*, with packages besides those of every image."""

    suite: str
    architecture: str
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.architecture not in _KERNELS:
            known = ", ".join(sorted(_KERNELS))
            raise UnknownArchitecture(
                f"images are built for {known}, and this machine is {self.architecture}: "
                "declare one with a source"
            )

    @property
    def all_packages(self) -> tuple[str, ...]:
        kernel = _KERNELS[self.architecture]
        return (*PACKAGES, kernel, *sorted(set(self.packages) - {*PACKAGES, kernel}))

    @property
    def script(self) -> str:
        """What is run inside the tree."""
        return render_template(
            "image/install.sh.j2", packages=self.all_packages, enabled=_ENABLED, masked=_MASKED
        )

    @property
    def files(self) -> dict[str, str]:
        """The texts of the tree's files, by path, that are there before the script runs."""
        return {
            "boot/grub/grub.cfg": render_template("image/grub.cfg.j2", label=LABEL),
            "etc/cloud/cloud.cfg.d/90-groundplane.cfg": render_template("image/cloud.cfg.j2"),
            "etc/default/locale": "LANG=C.UTF-8\n",
            "etc/dpkg/dpkg.cfg.d/90-groundplane": render_template("image/dpkg.cfg.j2"),
            "etc/fstab": f"LABEL={LABEL} / ext4 errors=remount-ro 0 1\n",
            "etc/locale.conf": "LANG=C.UTF-8\n",
        }

    @property
    def key(self) -> str:
        """A short name for all that decides what is in the image, but for the archive's state."""
        parts = [_LAYOUT, self.suite, self.architecture, self.script, self.files]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
