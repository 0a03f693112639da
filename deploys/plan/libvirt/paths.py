"""Where a hypervisor has what belongs to its VMs: all of it below the directory of its pool."""

from groundplane.deploy_api import Hypervisor, Image


def base_image_path(hypervisor: Hypervisor, image: Image) -> str:
    """Return the file that VMs of *image* begin as: a qcow2, which is there before they are."""
    return f"{hypervisor.spec.pool}/images/{image.name}.qcow2"


def disks(pool: str) -> str:
    """Return the directory of the VMs' disks, which is the pool that libvirt knows."""
    return f"{pool}/disks"


def disk(pool: str, name: str) -> str:
    return f"{disks(pool)}/{name}.qcow2"


def seeds(pool: str) -> str:
    """Return the directory of what cloud-init is told: root's alone, since host keys are in it."""
    return f"{pool}/seeds"


def seed(pool: str, name: str) -> str:
    return f"{seeds(pool)}/{name}.iso"


def host_keys(pool: str) -> str:
    """Return the directory of the VMs' host keys, made there and known nowhere else."""
    return f"{pool}/host-keys"


def host_key(pool: str, name: str) -> str:
    return f"{host_keys(pool)}/{name}"
