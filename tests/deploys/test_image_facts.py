"""What is asked of a hypervisor about images, asked of this machine."""

import subprocess
from pathlib import Path

from groundplane_deploys.facts.images import BackingFiles, FreeBytes, Stored, StoredImages


def answer(command: object) -> list[str]:
    done = subprocess.run(["sh", "-c", str(command)], text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def test_files_links_and_digests_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "debian-0123456789ab.qcow2").write_bytes(b"1234")
    (tmp_path / "debian.qcow2").symlink_to("debian-0123456789ab.qcow2")
    (tmp_path / "debian.qcow2.sha256").write_text("0" * 64 + "\n")
    fact = StoredImages()
    stored = fact.process(answer(fact.command(str(tmp_path))))
    assert stored.sizes["debian-0123456789ab.qcow2"] == 4
    assert stored.links == {"debian.qcow2": "debian-0123456789ab.qcow2"}
    assert stored.digests == {"debian.qcow2.sha256": "0" * 64}


def test_where_there_is_no_directory_there_is_nothing_but_room(tmp_path: Path) -> None:
    stored = StoredImages()
    assert stored.process(answer(stored.command(f"{tmp_path}/no where"))) == Stored()
    free = FreeBytes()
    assert free.process(answer(free.command(f"{tmp_path}/no where/images"))) > 0


def test_overlays_tell_their_backing_and_what_cannot_is_named(tmp_path: Path) -> None:
    (tmp_path / "vm one").mkdir()
    base, disk = tmp_path / "base.qcow2", tmp_path / "vm one" / "disk.qcow2"
    qemu_img("create", "-f", "qcow2", base, "1M")
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", base, disk)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "other.qcow2").write_bytes(b"no image")
    broken = tmp_path / "broken.qcow2"
    broken.write_bytes(base.read_bytes()[:4] + b"\xff" * 100)
    fact = BackingFiles()
    found = fact.process(answer(fact.command(str(tmp_path), f"{tmp_path}/images")))
    assert found.files == {str(base)}
    assert found.unknown == {str(broken)}
