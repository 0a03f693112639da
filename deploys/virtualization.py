"""What a hypervisor must be: packages, bridges that keep its own network, and images of VMs."""

from functools import cache

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.operations import apt, systemd

from deploys.bridging import networkd
from deploys.bridging.errors import BridgeError
from deploys.bridging.plan import plan
from deploys.bridging.wanted import bridges_of
from deploys.catalog import read_source, source_directory
from deploys.facts.bridge_filter import DroppedFrames
from deploys.facts.bridging import LinkManagers, Links
from deploys.facts.files import DirectoryDigests
from deploys.images.cache import cache_directory
from deploys.images.errors import ImageError
from deploys.images.local import LocalImage, ensure_local
from deploys.images.wanted import images_of
from deploys.operations import bridging, refusal
from deploys.operations import images as image_operations
from deploys.undo import can_undo
from groundplane.model.machine import Hypervisor

DEFAULTS = {
    "hypervisor_packages": [
        "dnsmasq-base", "genisoimage", "iproute2", "libvirt-clients", "libvirt-daemon-system",
        "qemu-system-x86", "qemu-utils",
    ],
    # Remove images that no VM begins as, and no disk is an overlay of.
    "purge": False,
    # Seconds within which the controller has to be back by the new network.
    "bridge_timeout": 60,
}  # fmt: skip


@deploy("Packages of a hypervisor", data_defaults=DEFAULTS)
def packages() -> None:
    """Install what carries virtual machines, and run libvirt."""
    apt.packages(
        name="libvirt and QEMU are installed",
        packages=host.data.hypervisor_packages,
        no_recommends=True,
    )
    systemd.service(name="libvirt runs", service="libvirtd.service", running=True, enabled=True)


@deploy("Bridges of a hypervisor", data_defaults=DEFAULTS)
def bridges() -> None:
    """Make its bridges; what cuts the controller off undoes itself within `bridge_timeout` seconds."""
    wanted = bridges_of(_hypervisor().spec.networks)
    links = host.get_fact(Links)
    there = host.get_fact(DirectoryDigests, path=networkd.DIRECTORY)
    try:
        change = plan(
            wanted,
            links,
            host.get_fact(LinkManagers),
            [f"{networkd.DIRECTORY}/{name}" for name in there],
        )
    except BridgeError as error:
        refusal.refuse(name="The bridges are as declared", reason=str(error))
        return
    can_undo()
    bridging.change(
        name="The bridges are as declared", wanted=change, timeout=host.data.bridge_timeout
    )
    if wanted and (dropping := host.get_fact(DroppedFrames)):
        refusal.refuse(
            name="The host's filter lets pass what its bridges pass",
            reason=f"{' and '.join(dropping)}: the chain FORWARD drops what bridges pass from port "
            "to port, so VMs are cut off: see deploys/README.md, Docker beside bridges",
        )


@deploy("Images of a hypervisor", data_defaults=DEFAULTS)
def images() -> None:
    """Have the images that its VMs begin as, in its pool."""
    hypervisor = _hypervisor()
    there: list[LocalImage] = []
    for image in images_of(read_source(), hypervisor.name):
        found = _local(image.name)
        if isinstance(found, ImageError):
            refusal.refuse(name=f"Image {image.name} is there", reason=str(found))
            return
        there.append(found)
        image_operations.put(
            name=f"Image {image.name} is there", image=found, pool=hypervisor.spec.pool
        )
    if host.data.purge:
        image_operations.purge(
            name="Only images in use are there", wanted=there, pool=hypervisor.spec.pool
        )


@cache
def _local(name: str) -> LocalImage | ImageError:
    """Return the image as it is here; an error is one for all hosts that want it, and tried once."""
    try:
        return ensure_local(read_source().images[name], source_directory(), cache_directory())
    except ImageError as error:
        return error


def _hypervisor() -> Hypervisor:
    return read_source().hypervisors[host.data.hypervisor_name]
