"""Paths of VM files on a hypervisor, all below the directory of its pool."""

from groundplane.deploy_api import Hypervisor, Image


def base_image_path(hypervisor: Hypervisor, image: Image) -> str:
    """Return the base file of VMs of *image*: a qcow2 that exists before they do."""
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
