"""An image of the catalog as a qcow2 file on the machine that deploys."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from groundplane.deploy_api import Image
from groundplane_deploys.images.build import ensure_built
from groundplane_deploys.images.download import take
from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.images.format import require_whole
from groundplane_deploys.images.signature import require_signed
from groundplane_deploys.locks import lock_file
from groundplane_deploys.process import ProcessFailed, run


@dataclass(frozen=True)
class LocalImage:
    """The local qcow2 file of the image *name*; *sha256* in hex, *size* in bytes."""

    name: str
    path: Path
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The name of the file on hypervisors; its content never changes."""
        return f"{self.name}-{self.sha256[:12]}.qcow2"


def ensure_local(image: Image, directory: Path, cache: Path) -> LocalImage:
    """Return *image*, after building or downloading it if it is not in *cache*; or ImageError.

    Paths in the document are relative to *directory*, the catalog's.
    """
    if image.spec.build is not None:
        path = ensure_built(image.spec.build, cache)
    else:
        path = _fetched(image, directory, cache)
    return LocalImage(image.name, path, _digest(path), path.stat().st_size)


def _fetched(image: Image, directory: Path, cache: Path) -> Path:
    spec = image.spec
    if spec.source is None or spec.checksum is None:
        raise ImageError(f"image {image.name} has neither build nor source and checksum")
    cache.mkdir(parents=True, exist_ok=True)
    stem = spec.checksum.partition(":")[2][:32]
    file, disk = cache / f"fetched-{stem}", cache / f"fetched-{stem}.qcow2"
    with lock_file(cache / f"fetched-{stem}.lock", f"another fetch of {spec.source}"):
        if not file.is_file():
            take(spec.source, directory, spec.checksum, file)
        if spec.signature:
            require_signed(file, image.name, spec.signature, directory)
        if not disk.exists():
            _as_qcow2(file, image.name, disk)
    return disk


def _as_qcow2(file: Path, name: str, disk: Path) -> None:
    if require_whole(file, name) == "qcow2":
        disk.hardlink_to(file)
        return
    new = disk.with_suffix(".new")
    try:
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(file), str(new)])
    except ProcessFailed as error:
        new.unlink(missing_ok=True)
        raise ImageError(f"image {name}: {error}") from error
    new.rename(disk)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, cached beside it: files of the cache never change."""
    kept = path.with_name(f"{path.name}.sha256")
    if not kept.is_file():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        new = kept.with_name(f"{kept.name}.new")
        new.write_text(f"{found}\n")
        new.rename(kept)
    return kept.read_text().strip()
