"""The content of a built image, as texts and names, and its cache key."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from groundplane.deploy_api import render_template

LABEL: Final = "gp-root"
"""Label of the root file system."""

# Change it whenever the disk layout changes.
_LAYOUT: Final = 1

PACKAGES: Final = (
    "systemd",
    "systemd-sysv",
    "systemd-resolved",  # receives the name servers from cloud-init through networkd
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
    """Images cannot be built for this architecture."""


@dataclass(frozen=True)
class Recipe:
    """A Debian *suite* for an *architecture*, with packages in addition to the common ones."""

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
        """The script to run inside the tree."""
        return render_template(
            "image/install.sh.j2", packages=self.all_packages, enabled=_ENABLED, masked=_MASKED
        )

    @property
    def files(self) -> dict[str, str]:
        """The texts, by path, of the files that are in the tree before the script runs."""
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
        """A short digest of everything that determines the image, except the archive's state."""
        parts = [_LAYOUT, self.suite, self.architecture, self.script, self.files]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
