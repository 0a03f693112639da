"""Routes that carry their own tunnel, as bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.links.route import Route
from groundplane.dataplanes.links.tunnels import request, tunnel_of
from groundplane.kernel.netlink import attributes
from groundplane.net.address import canonical

_HEADERS = 16 + 12  # netlink's, then struct rtmsg


def shown(message: bytes) -> dict[str, object]:
    """Return a route's attributes as pyroute2 shows those that it does not know."""
    found = dict(attributes(message, _HEADERS))
    return {
        "RTA_ENCAP_TYPE": struct.unpack("=H", found[21])[0],
        "RTA_ENCAP": ":".join(f"{byte:02x}" for byte in found[22]),
    }


@given(
    st.sampled_from([("10.244.2.0/24", "10.244.1.1"), ("fd00:2::/64", "fd00:1::1")]),
    st.ip_addresses().filter(lambda ip: not getattr(ip, "ipv4_mapped", None)).map(str),
    st.integers(1, (1 << 24) - 1),
)
def test_a_tunnel_is_read_as_it_was_written(ends: tuple[str, str], far: str, vni: int) -> None:
    destination, source = ends
    message = request("add", destination, Route("", source, "groundplane1", far, vni), 7, 71)
    assert (canonical(far), vni) == tunnel_of(shown(message))
    assert len(message) == struct.unpack_from("=I", message)[0]


@pytest.mark.parametrize(
    "attributes_",
    [
        {},
        {"RTA_ENCAP_TYPE": 1, "RTA_ENCAP": "00"},  # MPLS
        {"RTA_ENCAP_TYPE": 2, "RTA_ENCAP": ""},
        {"RTA_ENCAP_TYPE": 2, "RTA_ENCAP": "05:00:02:00:c0"},  # cut off
    ],
)
def test_what_is_no_tunnel_of_ours_is_none(attributes_: dict[str, object]) -> None:
    assert ("", 0) == tunnel_of(attributes_)
