"""Bob Jenkins' hash: what a kernel (6.18) gave for `jhash ip saddr mod N seed S`."""

import pytest

from groundplane.net.address import pack
from groundplane.simulate.jhash import slot_of
from groundplane.site.map_limits import HASH_SEED, HASH_SLOTS


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("10.0.0.1", 150),
        ("10.244.1.10", 296),
        ("192.0.2.50", 923),
        ("198.51.100.255", 66),
        ("203.0.113.77", 860),
        ("fd00::", 189),
        ("fd00:244:0:1::10", 245),
        ("2001:db8::50", 998),
        ("2001:db8:1:2:3:4:5:6", 857),
        ("2001:db8:77::1", 335),
    ],
)
def test_a_clients_slot_is_the_kernels(client: str, expected: int) -> None:
    assert expected == slot_of(pack(client), HASH_SEED, HASH_SLOTS)


@pytest.mark.parametrize(
    ("client", "all_bits", "last_seed"),
    [
        ("10.0.0.1", 1465940156, 896),
        ("192.0.2.50", 3219106869, 511),
        ("fd00::", 909828441, 56),
        ("2001:db8:1:2:3:4:5:6", 2493445972, 118),
    ],
)
def test_every_bit_of_the_hash_is_the_kernels(client: str, all_bits: int, last_seed: int) -> None:
    assert all_bits == slot_of(pack(client), 1, 0xFFFFFFFF)
    assert last_seed == slot_of(pack(client), 0xFFFFFFFF, 1024)
