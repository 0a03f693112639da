"""Routes: where each range goes from this node."""

import msgspec
import pytest

from groundplane.dataplanes.links.route import Route
from groundplane.dataplanes.links.routes import LinkAddress, LinkObject, render
from groundplane.project.state import NodeBase, Peer
from groundplane.site.compiled import Overlay
from tests.states import BASE, of_family, service

V4 = {
    "10.244.1.1": LinkAddress(24),
    "10.96.0.0/24": Route(source="192.0.2.1", device="groundplane0"),
    "10.244.2.0/24": Route("192.0.2.2", ""),
    "10.244.3.0/24": Route("192.0.2.3", ""),
}
V6 = {
    "fd00:244:0:1::1": LinkAddress(64),
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
    base: NodeBase, expected: dict[str, LinkObject]
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


FAR = Peer(
    "n2",
    ("198.51.100.2", "2001:db8:2::2"),
    ("10.244.2.0/24", "fd00:244:0:2::/64"),
    "198.51.100.2",
    on_link=False,
)


def routes_with(overlay: Overlay | None, *peers: Peer) -> dict[str, LinkObject]:
    base = msgspec.structs.replace(BASE, overlay=overlay, peers=peers)
    return {key: each for key, each in render(base, base).items() if key in peers[0].subnets}


def test_a_peer_of_another_segment_is_reached_by_a_tunnel_for_both_families() -> None:
    """From an address of the workload range: the answer has to come back by the tunnel."""
    assert {
        "10.244.2.0/24": Route("", "10.244.1.1", "groundplane1", "198.51.100.2", 7071),
        "fd00:244:0:2::/64": Route("", "fd00:244:0:1::1", "groundplane1", "198.51.100.2", 7071),
    } == routes_with(Overlay("vxlan", 7071, 4790), FAR)


def test_with_wireguard_the_link_knows_the_way() -> None:
    assert {
        "10.244.2.0/24": Route("", "10.244.1.1", "groundplane1"),
        "fd00:244:0:2::/64": Route("", "fd00:244:0:1::1", "groundplane1"),
    } == routes_with(Overlay("wireguard", 7071, 51871), FAR)


def test_without_an_overlay_the_way_to_another_segment_is_left_to_routers() -> None:
    assert {} == routes_with(None, msgspec.structs.replace(FAR, tunnel=""))
