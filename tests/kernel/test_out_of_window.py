"""A segment outside the window breaks no connection that passes a node (kubernetes#74839, #117924).

Conntrack would take it for invalid, and it would pass untranslated: its receiver, who knows of no
such connection, answers with RST. Nodes have nf_conntrack_tcp_be_liberal.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.site import compiled
from tests.kernel.ipvs import in_mode, need_ipvs
from tests.kernel.segments import Echo, broken, connected
from tests.kernel.spaces import own
from tests.kernel.world import World, sysctl, world

pytestmark = pytest.mark.kernel

MODES: Final[tuple[str, ...]] = ("nftables", "ipvs")
COUNT: Final = 25
EGRESS: Final = 9100
# Who asks, what, and who answers; all of them pass a translation.
PATHS: Final = {
    "to another node": ("a", "far", "c"),
    "on one node": ("b", "self", "a"),
    "from the node itself": ("n1", "far", "c"),
    "from outside": ("near", "far", "c"),
    "to outside": ("a", "", "near"),  # masqueraded
}


@pytest.fixture(scope="module", params=MODES)
def net(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "ipvs":
        need_ipvs()
    with world(in_mode(site(), request.param), own("oow")) as built:
        yield built


def site() -> compiled.Site:
    catalog = load(Path(__file__).parents[1] / "conformance")
    return compile_site(catalog, allocate(catalog, Lock()))


def address_of(net: World, service: str, family: str) -> tuple[str, int]:
    if not service:
        return net.addresses("near")[family == "IPv6"], EGRESS
    found = next(each for each in net.site.services if each.name == service)
    return found.cluster_ips[family == "IPv6"], 80


def _broken(net: World, path: str, family: str) -> int:
    """Return how many connections break by a segment that the answering end seems to send."""
    client, service, server = PATHS[path]
    with Echo(net.place(server), 8080 if service else EGRESS) as echo:
        made = connected(net.place(client), *address_of(net, service, family), COUNT)
        echo.inject()
        found = broken(made)
        for each in made:
            each.close()
    return found


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("path", PATHS)
def test_no_connection_breaks(net: World, path: str, family: str) -> None:
    assert 0 == _broken(net, path, family)


@pytest.mark.parametrize("path", ["to another node", "to outside"])
def test_without_the_setting_they_break(net: World, path: str) -> None:
    """So the test above can fail. IPVS translates by connections of its own, valid or not."""
    mode = net.site.nodes[0].proxy_mode
    nodes = [net.node(node.name) for node in net.site.nodes]
    try:
        for node in nodes:
            sysctl(node, net__netfilter__nf_conntrack_tcp_be_liberal=0)
        assert (mode == "nftables" or path == "to outside") == (_broken(net, path, "IPv4") > 0)
    finally:
        for node in nodes:
            sysctl(node, net__netfilter__nf_conntrack_tcp_be_liberal=1)
