"""The base images of a hypervisor's VMs."""

from functools import cache

from pyinfra import host
from pyinfra.api import deploy

from groundplane_deploys.catalog import read_source, source_directory
from groundplane_deploys.images.cache import cache_directory
from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.images.local import LocalImage, ensure_local
from groundplane_deploys.images.wanted import images_of
from groundplane_deploys.operations import images as image_operations
from groundplane_deploys.operations import refusal
from groundplane_deploys.virtualization.declared import DEFAULTS, declared


@deploy("Images of a hypervisor", data_defaults=DEFAULTS)
def images() -> None:
    """Put the base images of its VMs into its pool."""
    hypervisor = declared()
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
