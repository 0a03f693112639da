"""The images that a hypervisor needs. Pure."""

from groundplane.deploy_api import Catalog, Image


def images_of(catalog: Catalog, hypervisor: str) -> list[Image]:
    """Return the base images of the VMs on *hypervisor*, by name."""
    vms = [node.spec.vm for node in catalog.nodes.values() if node.spec.vm]
    names = {vm.image for vm in vms if vm.hypervisor == hypervisor}
    return [catalog.images[name] for name in sorted(names)]
