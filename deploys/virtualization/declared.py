"""The Hypervisor document of the host that a deploy is at, and what data may say otherwise."""

from pyinfra import host
from pyinfra.api import DeployError

from groundplane.deploy_api import Hypervisor
from groundplane_deploys.catalog import read_source
from groundplane_deploys.vm_keys import DIRECTORY

DEFAULTS = {
    "hypervisor_packages": [
        "dnsmasq-base", "genisoimage", "iproute2", "libvirt-clients", "libvirt-daemon-system",
        "qemu-system-x86", "qemu-utils",
    ],
    # Given as --data purge=true: VMs without a Node are removed, and their disks too; and images
    # that no VM begins as, and no disk is an overlay of.
    "purge": False,
    # Seconds within which the controller has to be back by the new network.
    "bridge_timeout": 60,
    # Given as --data restart=true: VMs that run as something else than declared are restarted.
    "restart": False,
    # Seconds: for a VM to end when it is asked to, and to answer after its start (0: unasked).
    "shutdown_timeout": 60,
    "boot_timeout": 300,
    # Public keys that every VM lets in, besides those of its own document.
    "authorized_keys": [],
    # Where on this machine the VMs' host keys are pinned.
    "vm_keys_directory": str(DIRECTORY),
}  # fmt: skip


def declared() -> Hypervisor:
    """Return the document of this host; DeployError where the catalog has none."""
    found = read_source().hypervisors.get(host.data.hypervisor_name)
    if found is None:
        raise DeployError(f'the catalog has no Hypervisor "{host.data.hypervisor_name}"')
    return found
