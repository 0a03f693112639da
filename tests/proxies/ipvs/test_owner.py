"""Which virtual servers are ours."""

import msgspec
import pytest

from groundplane.proxies.ipvs.objects import ServerKey, marked_server, server
from groundplane.proxies.ipvs.owner import owner
from tests.states import BASE

SITE = msgspec.structs.replace(BASE, external_cidrs=("198.51.100.0/24",))


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        (server("10.96.0.1", "TCP", 22), True),
        (server("fd00:96::1", "UDP", 53), True),
        (server("198.51.100.7", "TCP", 80), True),
        (server("192.0.2.1", "TCP", 30000), True),
        (server("2001:db8::1", "TCP", 32767), True),
        (marked_server("IPv4", "TCP", 2), True),
        (server("192.0.2.1", "TCP", 80), False),
        (server("192.0.2.1", "TCP", 32768), False),
        (server("192.0.2.2", "TCP", 30000), False),
        (server("10.97.0.1", "TCP", 80), False),
        # the same number as 10.96.0.1 has
        (server("::10.96.0.1", "TCP", 80), False),
        (bytes((4, 0, 0, 0)) + (0x4000).to_bytes(4), False),
    ],
)
def test_by_its_address_or_mark(key: ServerKey, ours: bool) -> None:
    assert ours is owner(SITE)(key)
