"""What a hypervisor has to be, and its VMs: one module for each concern, in the order of `hypervisor`."""

from groundplane_deploys.virtualization.bridges import bridges
from groundplane_deploys.virtualization.images import images
from groundplane_deploys.virtualization.packages import packages
from groundplane_deploys.virtualization.vms import vms

__all__ = ["bridges", "hypervisor", "images", "packages", "vms"]


def hypervisor() -> None:
    """Make the host able to carry VMs."""
    packages()
    bridges()
    images()
