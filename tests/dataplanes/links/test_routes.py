"""Routes: where each range goes from this node."""

import msgspec
import pytest

from groundplane.dataplanes.links.routes import Address, Object, render
from groundplane.dataplanes.links.tunnels import Route
from groundplane.project.state import NodeBase, Peer
from tests.states import BASE, of_family, service

V4 = {
    "10.244.1.1": Address(24),
    "10.96.0.0/24": Route(source="192.0.2.1", device="groundplane0"),
    "10.244.2.0/24": Route("192.0.2.2", ""),
    "10.244.3.0/24": Route("192.0.2.3", ""),
}
V6 = {
    "fd00:244:0:1::1": Address(64),
    "fd00:96::/112": Route(source="2001:db8::1", device="groundplane0"),
    "fd00:244:0:2::/64": Route("2001:db8::2", ""),
    "fd00:244:0:3::/64": Route("2001:db8::3", ""),
}


@pytest.mark.parametrize(
    ("base", "expected"),
    [(BASE, V4 | V6), (of_family("IPv4"), V4), (of_family("IPv6"), V6)],
    ids=["both", "IPv4", "IPv6"],
)
def test_service_ranges_go_to_the_bridge_and_subnets_to_their_nodes(
    base: NodeBase, expected: dict[str, Object]
) -> None:
    assert expected == render(base, base)


def test_a_service_has_no_route() -> None:
    assert {} == render(BASE, service("web", ["10.96.0.5"]))


def test_a_subnet_whose_node_has_no_address_of_its_family_has_no_route() -> None:
    base = msgspec.structs.replace(
        BASE, peers=(Peer("n2", ("192.0.2.2",), ("10.244.2.0/24", "fd00:244:0:2::/64")),)
    )
    routes = {key for key, each in render(base, base).items() if isinstance(each, Route)}
    assert {"10.96.0.0/24", "fd00:96::/112", "10.244.2.0/24"} == routes


def test_an_older_base_has_its_own_routes() -> None:
    """What has to go is found by rendering what was before."""
    newer = msgspec.structs.replace(BASE, peers=BASE.peers[:1])
    assert V4 | V6 == render(newer, BASE)
