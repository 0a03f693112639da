"""The first sector, byte by byte, and the size of the file system."""

import struct

from groundplane_deploys.images.disk import boot_sector, file_system_size

MIB = 1 << 20


def test_the_first_sector_has_the_boot_code_and_one_active_partition() -> None:
    sector = boot_sector(b"\xeb" * 512, 4096)
    assert len(sector) == 512
    assert sector[:440] == b"\xeb" * 440
    assert sector[-2:] == b"\x55\xaa"
    status, kind, first, sectors = struct.unpack("<B3xB3xII", sector[446:462])
    assert (status, kind, first, sectors) == (0x80, 0x83, 2048, 4096)
    assert sector[462:510] == bytes(48)


def test_the_file_system_has_room_for_more_than_the_tree_and_whole_mebibytes() -> None:
    size = file_system_size(300 * MIB, 20_000)
    assert size % MIB == 0
    assert 400 * MIB < size < 600 * MIB
