"""The desired state of a hypervisor and its VMs: one module per concern, as in `hypervisor`."""

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
