"""Put images on a hypervisor. The content of a file never changes once disks may be based on it."""

import re
from collections.abc import Collection, Generator

from pyinfra import host
from pyinfra.api import FileUploadCommand, FunctionCommand, QuoteString, StringCommand, operation

from groundplane_deploys.facts.images import BackingFiles, FreeBytes, StoredImages
from groundplane_deploys.images.local import LocalImage
from groundplane_deploys.operations.refusal import refusal

_MIB = 1 << 20
_RESERVE = 64 * _MIB  # of the disk, for the host itself
_CONTENT = re.compile(r"(.+)-[0-9a-f]{12}\.qcow2")


def images_directory(pool: str) -> str:
    """Return the directory of images of *pool*, also a directory."""
    return f"{pool}/images"


def image_path(pool: str, name: str) -> str:
    """Return the path of an image on a hypervisor: a link to the file with its newest content."""
    return f"{images_directory(pool)}/{name}.qcow2"


@operation()
def put(
    image: LocalImage, pool: str
) -> Generator[FileUploadCommand | FunctionCommand | StringCommand]:
    """Put *image* into *pool*: NAME.qcow2, a link to the file named by its content.

    Disks are overlays of that file; files with older content stay for disks based on them.
    """
    directory, link = images_directory(pool), f"{image.name}.qcow2"
    stored = host.get_fact(StoredImages, path=directory)
    is_there = stored.sizes.get(image.file_name) == image.size
    if (
        is_there
        and stored.links.get(link) == image.file_name
        and stored.digests.get(f"{link}.sha256") == image.sha256
    ):
        host.noop(f"image {image.name} is there")
        return
    if not is_there:
        new = f"{directory}/.{image.file_name}.new"
        left = stored.sizes.get(f".{image.file_name}.new", 0)
        free = host.get_fact(FreeBytes, path=directory) + left
        if free < image.size + _RESERVE:
            yield refusal(
                f"image {image.name} needs {(image.size + _RESERVE) // _MIB} MiB in {directory}, "
                f"and {free // _MIB} MiB are free"
            )
            return
        yield StringCommand("mkdir -p", QuoteString(directory), "&& rm -f", QuoteString(new))
        yield FileUploadCommand(str(image.path), new)
        yield StringCommand(
            "echo", QuoteString(f"{image.sha256}  {new}"), "| sha256sum --check --status",
            "|| { rm -f", QuoteString(new), "; echo 'it did not arrive whole' >&2; exit 1; };",
            "chmod 644", QuoteString(new), "&& sync", QuoteString(new),
            "&& mv -T", QuoteString(new), QuoteString(f"{directory}/{image.file_name}"),
            "&& sync", QuoteString(directory),
        )  # fmt: skip
    path = f"{directory}/{link}"
    yield StringCommand(
        "ln -sfnT", QuoteString(image.file_name), QuoteString(f"{path}.new"),
        "&& mv -T", QuoteString(f"{path}.new"), QuoteString(path),
        "&& echo", image.sha256, ">", QuoteString(f"{path}.sha256"),
        "&& sync", QuoteString(directory),
    )  # fmt: skip


@operation()
def purge(wanted: Collection[LocalImage], pool: str) -> Generator[FunctionCommand | StringCommand]:
    """Remove from *pool* all files that are neither in *wanted* nor backing files of disks."""
    directory = images_directory(pool)
    stored = host.get_fact(StoredImages, path=directory)
    backings = host.get_fact(BackingFiles, path=pool, apart=directory)
    if backings.unknown:
        yield refusal(
            f"it cannot be told what {', '.join(sorted(backings.unknown))} is an overlay of, "
            "so no image is removed"
        )
        return
    used = {path.rsplit("/", 1)[-1] for path in backings.files}
    links = {f"{image.name}.qcow2" for image in wanted}
    kept = used | {image.file_name for image in wanted}
    gone = [name for name in stored.links if name not in links]
    gone += [name for name in stored.digests if name.removesuffix(".sha256") not in links]
    gone += [name for name in stored.sizes if _CONTENT.fullmatch(name) and name not in kept]
    gone += [name for name in stored.sizes if name.startswith(".") and name.endswith(".new")]
    if not gone:
        host.noop("every image is wanted, or in use")
        return
    yield StringCommand("rm -f", *(QuoteString(f"{directory}/{name}") for name in sorted(gone)))
