"""Who sends with a workload's address as the source: a host on the nodes' link, and workloads."""

import pytest

from tests.kernel.sending import passing, send
from tests.kernel.world import World, ask, ip

pytestmark = pytest.mark.kernel

# Of the node's own workload, of its bridge, and of no workload.
TAKEN = ["10.244.1.10", "10.244.1.1", "10.244.99.5"]
TAKEN_IPV6 = ["fd00:244:0:1::10", "fd00:244:0:1::1", "fd00:244:0:99::5"]
# Another workload directly, a service of it, and the name server on the bridge.
ASKED = [("10.244.1.11", 9), ("10.96.0.10", 80), ("10.244.1.1", 53)]
ASKED_IPV6 = [("fd00:244:0:1::11", 9), ("fd00:96::a", 80), ("fd00:244:0:1::1", 53)]


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        *((source, asked) for source in TAKEN for asked in ASKED),
        *((source, asked) for source in TAKEN_IPV6 for asked in ASKED_IPV6),
    ],
)
def test_nobody_on_the_nodes_link_passes_for_a_workload(
    net: World, source: str, asked: tuple[str, int]
) -> None:
    with passing(net, source) as counted:
        send(net.client, source, *asked)
    assert [0] == counted


@pytest.mark.parametrize(("source", "to"), [("192.168.77.1", ASKED), ("fd77::1", ASKED_IPV6)])
def test_with_its_own_address_it_reaches_workloads_and_services(
    net: World, source: str, to: list[tuple[str, int]]
) -> None:
    """Also so that the counters above are known to count."""
    with passing(net, source) as counted:
        for asked in to:
            send(net.client, source, *asked)
    assert [len(to)] == counted


def test_an_endpoint_of_others_in_the_ranges_answers(net: World) -> None:
    """An EndpointSlice may name an address there that no node has; a router knows the way to it."""
    # Without nodad an address can be tentative for a moment, and no socket binds to it then.
    for address in ("10.244.98.7/32 dev lo", "fd00:244:0:98::7/128 dev lo nodad"):
        ip(f"-n {net.client} address add {address}")
    servers = [net.serve(net.client, "others", 9000, ("10.244.98.7", "fd00:244:0:98::7"))]
    try:
        for address in ("10.244.98.7", "fd00:244:0:98::7"):
            (seen,) = ask(net.workload("a"), address, 9000, "TCP")
            assert seen.startswith("others")
    finally:
        for server in servers:
            server.close()
        for address in ("10.244.98.7/32", "fd00:244:0:98::7/128"):
            ip(f"-n {net.client} address del {address} dev lo")
