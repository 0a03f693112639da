"""Which images a hypervisor has to have; pure."""

from groundplane.deploy_api import Catalog, Image


def images_of(catalog: Catalog, hypervisor: str) -> list[Image]:
    """Return the images that the VMs on *hypervisor* begin as, by name."""
    vms = [node.spec.vm for node in catalog.nodes.values() if node.spec.vm]
    names = {vm.image for vm in vms if vm.hypervisor == hypervisor}
    return [catalog.images[name] for name in sorted(names)]
