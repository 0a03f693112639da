"""Images of the catalog become qcow2 files, whole in themselves, once."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from groundplane.documents.machine import Image, ImageSpec
from groundplane.documents.meta import ObjectMeta
from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.images.format import require_whole
from groundplane_deploys.images.local import ensure_local


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def image(path: Path) -> Image:
    checksum = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    spec = ImageSpec(source=path.name, checksum=checksum)
    return Image("groundplane/v1", "Image", ObjectMeta(name="debian"), spec)


def test_a_raw_disk_is_converted_and_its_file_is_named_by_its_content(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"\x55" * (1 << 20))
    found = ensure_local(image(disk), tmp_path, tmp_path / "cache")
    assert require_whole(found.path, "debian") == "qcow2"
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert found.size == found.path.stat().st_size
    assert found.file_name == f"debian-{found.sha256[:12]}.qcow2"
    before = found.path.stat().st_mtime_ns
    assert ensure_local(image(disk), tmp_path, tmp_path / "cache") == found
    assert found.path.stat().st_mtime_ns == before


def test_a_qcow2_is_taken_as_it_is(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", tmp_path / "disk.qcow2", "1M")
    found = ensure_local(image(tmp_path / "disk.qcow2"), tmp_path, tmp_path / "cache")
    assert found.path.read_bytes() == (tmp_path / "disk.qcow2").read_bytes()


def test_an_image_that_names_another_file_is_refused(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", tmp_path / "disk", "1M")
    with pytest.raises(ImageError, match="is not whole: it names /etc/passwd"):
        ensure_local(image(tmp_path / "disk"), tmp_path, tmp_path / "cache")


def test_a_data_file_is_another_file_too(tmp_path: Path) -> None:
    options = f"data_file={tmp_path}/other.raw"
    qemu_img("create", "-f", "qcow2", "-o", options, tmp_path / "disk", "1M")
    with pytest.raises(ImageError, match="is not whole"):
        require_whole(tmp_path / "disk", "debian")


def test_other_formats_are_refused(tmp_path: Path) -> None:
    qemu_img("create", "-f", "vmdk", tmp_path / "disk", "1M")
    with pytest.raises(ImageError, match="of the format vmdk: qcow2 and raw are known"):
        require_whole(tmp_path / "disk", "debian")
