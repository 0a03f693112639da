"""Debian's packages of a hypervisor, and libvirt."""

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.operations import apt, systemd

from groundplane_deploys.operations import packages as own
from groundplane_deploys.virtualization.declared import DEFAULTS


@deploy("Packages of a hypervisor", data_defaults=DEFAULTS)
def packages() -> None:
    """Install what carries virtual machines, and run libvirt."""
    own.listed(
        name="apt knows what there is to install", packages=tuple(host.data.hypervisor_packages)
    )
    apt.packages(
        name="libvirt and QEMU are installed",
        packages=host.data.hypervisor_packages,
        no_recommends=True,
    )
    systemd.service(name="libvirt runs", service="libvirtd.service", running=True, enabled=True)
