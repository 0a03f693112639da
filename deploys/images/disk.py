"""A BIOS-bootable disk as a file, made without loop devices, mounts or root.

Sector 0 contains GRUB's boot code and a partition table. The sectors up to 2048 contain GRUB's
core, which only reads /boot/grub/grub.cfg. The only partition is an ext4 with the tree.
"""

import os
import struct
from pathlib import Path
from typing import Final

from groundplane_deploys.images.errors import ImageError
from groundplane_deploys.images.recipe import LABEL
from groundplane_deploys.process import run

_SECTOR: Final = 512
_FIRST: Final = 2048  # of the partition
_BOOT_CODE: Final = 440  # bytes before the disk's identity (UEFI 2.10, 5.2.1)
_LINUX: Final = 0x83
_MIB: Final = 1 << 20
_GRUB: Final = Path("/usr/lib/grub/i386-pc")
_MODULES: Final = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "configfile")


def boot_sector(code: bytes, sectors: int) -> bytes:
    """Return sector 0: boot *code*, and one active partition of *sectors* from sector 2048."""
    identity = struct.pack("<IH", 0x67706C6E, 0)
    # CHS cannot address more than 8 GB; LBA is used.
    entry = struct.pack(
        "<B3sB3sII", 0x80, b"\xfe\xff\xff", _LINUX, b"\xfe\xff\xff", _FIRST, sectors
    )
    return code[:_BOOT_CODE] + identity + entry + bytes(48) + b"\x55\xaa"


def file_system_size(content: int, files: int) -> int:
    """Return the bytes needed by *files* with *content* bytes, with room for a first boot."""
    used = content + files * 512 + 32 * _MIB
    return -(-int(used * 1.1 + 96 * _MIB) // _MIB) * _MIB


def make_disk(tree: Path, image: Path) -> None:
    """Write *tree* as a compressed, bootable qcow2; a temporary raw disk lies beside it."""
    raw, core = image.with_suffix(".raw"), image.with_suffix(".core")
    size = file_system_size(*_measure(tree))
    try:
        run(["grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", str(core),
             *_MODULES])  # fmt: skip
        with raw.open("wb") as disk:
            disk.truncate(_FIRST * _SECTOR + size)
            disk.write(boot_sector((_GRUB / "boot.img").read_bytes(), size // _SECTOR))
            disk.write(_fitting(core.read_bytes()))
        run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), "-L", LABEL, "-b", "4096",
             "-i", "8192", "-m", "1", "-J", "size=32",
             # Later mke2fs releases enable features that GRUB 2.06 cannot read.
             "-O", "^metadata_csum_seed,^orphan_file",
             "-E", f"offset={_FIRST * _SECTOR}", str(raw), f"{size // 1024}k"])  # fmt: skip
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c",
             "-o", "compression_type=zstd", str(raw), str(image)])  # fmt: skip
    finally:
        raw.unlink(missing_ok=True)
        core.unlink(missing_ok=True)


def _fitting(core: bytes) -> bytes:
    room = (_FIRST - 1) * _SECTOR
    if len(core) > room:
        raise ImageError(f"GRUB's core has {len(core)} bytes, and there is room for {room}")
    return core


def _measure(tree: Path) -> tuple[int, int]:
    content = files = 0
    for directory, names, others in os.walk(tree):
        for name in (*names, *others):
            files += 1
            content += -(-os.lstat(os.path.join(directory, name)).st_size // 4096) * 4096
    return content, files
