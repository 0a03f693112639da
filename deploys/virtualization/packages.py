"""Debian's packages of a hypervisor, and libvirt."""

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.operations import apt, systemd

from deploys.virtualization.declared import DEFAULTS


@deploy("Packages of a hypervisor", data_defaults=DEFAULTS)
def packages() -> None:
    """Install what carries virtual machines, and run libvirt."""
    apt.packages(
        name="libvirt and QEMU are installed",
        packages=host.data.hypervisor_packages,
        no_recommends=True,
    )
    systemd.service(name="libvirt runs", service="libvirtd.service", running=True, enabled=True)
