"""What a host that is not a node needs, so that it answers for services that IPVS sends on to it."""

from pathlib import Path

import pytest

from groundplane.net.proxy import Forwarding
from groundplane.site import compiled
from groundplane.site.compiled import FORMAT, Endpoint, Node, Port, Service, columns
from groundplane_deploys.plan.dsr import LINK, DirectReturn, direct_return, node_with
from tests.kernel import spaces
from tests.kernel.world import ip, run, sysctl

LINKS = {"eth0": ["192.0.2.50/24", "2001:db8::50/64"], LINK: ["10.96.0.7/32"]}
HERE = Endpoint("", "", "", "192.0.2.50", "2001:db8::50", (80,))


def service(number: int, way: Forwarding, endpoint: Endpoint = HERE) -> Service:
    return Service(
        "default", f"s{number}", ("IPv4", "IPv6"), (f"10.96.0.{number}", f"fd00:96::{number}"),
        (Port("", "TCP", 80),), columns([endpoint]), forwarding=way,
    )  # fmt: skip


def site(*services: Service) -> compiled.Site:
    return compiled.Site(
        FORMAT, "cluster.local", ("10.96.0.0/24",), ("10.244.0.0/16",), (), egress_masquerade=True,
        forwarders=(), workloads=(), services=services,
        nodes=(
            Node("n1", ("192.0.2.1", "2001:db8::1"), ("10.244.1.0/24", "fd00:244:1::/64"),
                 proxy_mode="ipvs"),
            Node("n2", ("198.51.100.1",), ("10.244.2.0/24",), proxy_mode="ipvs"),
        ),
    )  # fmt: skip


def test_directly_it_has_the_addresses_and_the_ways_to_workloads_of_nodes_on_its_link() -> None:
    elsewhere = service(8, "direct", HERE._replace(ipv4="192.0.2.99", ipv6=""))
    found = direct_return(site(service(7, "direct"), elsewhere), LINKS)
    assert ("10.96.0.7/32", "fd00:96::7/128") == found.addresses
    assert () == found.tunnels
    assert {"10.244.1.0/24": "192.0.2.1", "fd00:244:1::/64": "2001:db8::1"} == found.routes


def test_in_tunnels_it_takes_out_what_comes() -> None:
    found = direct_return(site(service(7, "tunnel"), service(6, "direct")), LINKS)
    assert ("10.96.0.6/32", "10.96.0.7/32", "fd00:96::6/128", "fd00:96::7/128") == found.addresses
    assert ("tunl0", "ip6tnl0") == found.tunnels


def test_what_it_has_of_a_service_makes_it_no_endpoint() -> None:
    """An address that a deploy gave it, and that is an endpoint's elsewhere."""
    other = service(9, "direct", HERE._replace(ipv4="10.96.0.7", ipv6=""))
    assert DirectReturn() == direct_return(site(other), LINKS)


def test_a_node_is_known_by_its_addresses() -> None:
    assert "n2" == node_with(site(), {"eth0": ["198.51.100.1/25"]})
    assert "" == node_with(site(), LINKS)


@pytest.mark.kernel
def test_the_script_makes_it_so_and_can_be_run_again() -> None:
    wanted = DirectReturn(
        ("10.96.0.7/32", "fd00:96::7/128"),
        routes={"10.244.1.0/24": "192.0.2.1", "fd00:244:1::/64": "2001:db8::1"},
    )
    fewer = DirectReturn(("10.96.0.7/32",))
    with spaces.namespace("answering") as netns:
        sysctl(netns, net__ipv6__conf__all__disable_ipv6=0)
        ip(
            f"-n {netns} link add uplink type bridge",
            f"-n {netns} link set uplink up",
            f"-n {netns} address add 192.0.2.50/24 dev uplink",
            f"-n {netns} address add 2001:db8::50/64 dev uplink nodad",
        )
        for each, there in ((wanted, True), (wanted, True), (fewer, False), (wanted, True)):
            run(netns, "sh", "-c", each.script)
            shown = run(netns, "ip", "-br", "address", "show", "dev", LINK)
            assert "10.96.0.7/32" in shown
            assert there == ("fd00:96::7/128" in shown)
            assert there == ("10.244.1.0/24" in run(netns, "ip", "route"))
            assert there == ("fd00:244:1::/64" in run(netns, "ip", "-6", "route"))
        run(netns, "sh", "-c", DirectReturn().script)
        assert LINK not in run(netns, "ip", "link")
        run(netns, "sh", "-c", DirectReturn().script)
    assert not Path("/run/groundplane-backend").exists()  # no tunnel was opened
