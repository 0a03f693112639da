"""Elements: the bytes of the kernel's registers, and the text that nft writes for them."""

import struct

import pytest

from groundplane.dataplanes.nftables.maps import BY_CODE, Map, host32, map_of
from groundplane.net.address import pack
from tests.rulesets import MAPS

V4, V6 = MAPS["IPv4"], MAPS["IPv6"]
PAD = bytes(2)
WHERE = bytes((6, 0, 0, 0)) + (80).to_bytes(2, "big") + PAD
TARGET = (8080).to_bytes(2, "big") + PAD
GUARD = b"gpw0".ljust(16, b"\0") + bytes.fromhex("02000000000a") + PAD


def text(map_: Map, key: bytes, data: bytes) -> str:
    return map_.element_text(map_.prefix + key, data)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (text(V4.cluster_ips, pack("10.96.0.1") + WHERE, host32(0x2001)),
         "10.96.0.1 . tcp . 80 : 0x2001"),
        (text(V6.cluster_ips, pack("fd00::1") + WHERE, host32(0)),
         "fd00::1 . tcp . 80 : 0x0"),
        (text(V4.slots, host32(0x2000) + host32(1), pack("10.244.1.5") + TARGET),
         "0x2000 . 0x1 : 10.244.1.5 . 8080"),
        (text(V6.slots, host32(0x2000) + host32(1), pack("fd00::5") + TARGET),
         "0x2000 . 0x1 : fd00::5 . 8080"),
        (text(V4.service_addresses, pack("10.96.0.1"), b""), "10.96.0.1"),
        (text(V6.nodes, pack("2001:db8::1"), b""), "2001:db8::1"),
        (text(V4.hairpin, pack("10.244.1.5") * 2, b""), "10.244.1.5 . 10.244.1.5"),
        (text(V4.guard, GUARD + pack("10.244.1.5"), b""),
         '"gpw0" . 02:00:00:00:00:0a . 10.244.1.5'),
        (text(V6.guard, GUARD + pack("fd00::5"), b""), '"gpw0" . 02:00:00:00:00:0a . fd00::5'),
        (text(V4.announced, GUARD + pack("10.244.1.5"), b""),
         '"gpw0" . 02:00:00:00:00:0a . 10.244.1.5'),
        (text(V6.announced, GUARD + pack("fd00::5"), b""),
         '"gpw0" . 02:00:00:00:00:0a . 0xfd000000000000000000000000000005'),
    ],
)  # fmt: skip
def test_an_element_reads_as_nft_writes_it(found: str, expected: str) -> None:
    assert expected == found


@pytest.mark.parametrize(
    ("number", "expected"), [(6, "tcp"), (17, "udp"), (132, "sctp"), (47, "47")]
)
def test_a_protocol_is_called_by_its_name_where_it_has_one(number: int, expected: str) -> None:
    key = pack("10.96.0.1") + bytes((number, 0, 0, 0)) + (80).to_bytes(2, "big") + PAD
    assert f"10.96.0.1 . {expected} . 80 : 0x0" == text(V4.cluster_ips, key, host32(0))


def test_numbers_of_a_handle_are_in_the_byte_order_of_the_machine() -> None:
    """`meta priority` is a host-order register (skb->priority)."""
    assert struct.pack("=I", 0x2001) == host32(0x2001)


@pytest.mark.parametrize(("family", "address"), [("ip", 4), ("ip6", 16)])
def test_widths_are_whole_registers_of_four_bytes(family: str, address: int) -> None:
    widths = {
        each.name: (each.key_width, each.data_width)
        for each in BY_CODE.values()
        if each.table.family == family or each.name.endswith(f"_{family}")
    }
    assert {
        "affinity": (8 if family == "ip" else 12, 4),
        "cluster_ips": (address + 8, 4),
        "external_ips": (address + 8, 4),
        "slots": (8, address + 4),
        "handles": (4, 4),
        "choices": (8, 4),
        "endpoints": (4, address + 4),
        "source_ranges": (4 + address, 0),
        "service_addresses": (address, 0),
        "nodes": (address, 0),
        "subnets": (address, 0),
        "tunnel_nodes": (address, 0),
        "hairpin": (2 * address, 0),
        "marks": (4, 4),
        "untranslated": (address + 8, 0),
        "untranslated_addresses": (address, 0),
        f"workloads_{family}": (24 + address, 0),
        f"announced_{family}": (24 + address, 0),
    } == widths
    assert [] == [width for pair in widths.values() for width in pair if width % 4]


def test_an_element_says_which_map_it_is_of() -> None:
    assert [*BY_CODE] == [each.code for each in BY_CODE.values()]
    assert [*BY_CODE.values()] == [map_of(each.prefix + b"key") for each in BY_CODE.values()]
    assert "ip6 slots" == repr(V6.slots)


def test_no_two_maps_have_one_code() -> None:
    with pytest.raises(ValueError, match=f"ip other and ip slots have the code {V4.slots.code}"):
        Map(V4.slots.code, V4.slots.table, "other", ())
