"""Parts to where flows may lead, at every address that leads to a service."""

from typing import Any

import msgspec
import pytest
from hypothesis import given

from groundplane.dataplanes.conntrack import Range, packed
from groundplane.dataplanes.conntrack.expect import render, scope_of
from groundplane.net.address import pack
from groundplane.net.protocols import NUMBERS
from groundplane.project.state import NodeState, Part, Targets, VirtualPort, VirtualService
from tests.states import BASE, external_name, headless, of_family, service, states, target


def told(part: Part) -> dict[str, list[str]]:
    """Return the targets of each frontend of *part*, as `address:port/protocol`."""
    found = {frontend(key): sorted(map(text, who)) for key, who in render(BASE, part).items()}
    return dict(sorted(found.items()))


def frontend(key: Any) -> str:
    address, port, protocol = key
    name = {number: name for name, number in NUMBERS.items()}[protocol]
    return f"{text(packed(address, port))}/{name}"


def text(target: bytes) -> str:
    address, port = target[:-2], int.from_bytes(target[-2:], "big")
    return f"{'.'.join(map(str, address)) if len(address) == 4 else address.hex(':', 2)}:{port}"


def with_port(part: VirtualService, **changes: Any) -> VirtualService:
    (port,) = part.ports
    return msgspec.structs.replace(part, ports=(msgspec.structs.replace(port, **changes),))


DNS = service("dns", ["10.96.0.10"], ["10.244.1.10:5353"], port=53, protocol="UDP")
EVERYWHERE = msgspec.structs.replace(
    with_port(DNS, node_port=30053),
    external_ips=("203.0.113.5",),
    load_balancer_ips=("203.0.113.6",),
)


def test_a_service_of_udp_expects_its_endpoints_at_its_address() -> None:
    assert {"10.96.0.10:53/UDP": ["10.244.1.10:5353"]} == told(DNS)


def test_at_every_address_and_at_the_node_port_of_this_nodes_address() -> None:
    endpoints = ["10.244.1.10:5353"]
    assert {
        "10.96.0.10:53/UDP": endpoints,
        "192.0.2.1:30053/UDP": endpoints,
        "203.0.113.5:53/UDP": endpoints,
        "203.0.113.6:53/UDP": endpoints,
    } == told(EVERYWHERE)


def test_each_family_expects_its_own() -> None:
    ips, targets = ["10.96.0.10", "fd00:96::10"], ["10.244.1.10:5353", "fd00:244::9:5353"]
    both = with_port(service("dns", ips, targets, port=53, protocol="UDP"), node_port=30053)
    ipv6 = ["fd00:0244:0000:0000:0000:0000:0000:0009:5353"]
    assert {
        "10.96.0.10:53/UDP": ["10.244.1.10:5353"],
        "192.0.2.1:30053/UDP": ["10.244.1.10:5353"],
        "2001:0db8:0000:0000:0000:0000:0000:0001:30053/UDP": ipv6,
        "fd00:0096:0000:0000:0000:0000:0000:0010:53/UDP": ipv6,
    } == told(both)


def test_without_endpoints_nobody_is_expected() -> None:
    assert {"10.96.0.10:53/UDP": []} == told(
        service("dns", ["10.96.0.10"], port=53, protocol="UDP")
    )


def test_who_serves_but_takes_no_new_flows_is_expected_too() -> None:
    one, two = target("10.244.1.10:5353"), target("10.244.1.11:5353")
    serving = with_port(DNS, ipv4=Targets.of((one,), (), (one, two)))
    assert {"10.96.0.10:53/UDP": ["10.244.1.10:5353", "10.244.1.11:5353"]} == told(serving)


def test_with_policy_local_all_that_serve_are_expected() -> None:
    """The policy chooses for new flows; those that are there live on."""
    local = Targets.of((target("10.244.2.10:5353"),), (target("10.244.1.10:5353"),))
    part = msgspec.structs.replace(with_port(DNS, ipv4=local), internal_local=True)
    assert {"10.96.0.10:53/UDP": ["10.244.2.10:5353"]} == told(part)


def test_new_connections_of_tcp_may_go_where_either_policy_says() -> None:
    web = service("web", ["10.96.0.5"], ["10.244.1.10:80"])
    assert {"10.96.0.5:80/TCP": ["10.244.1.10:80"]} == told(web)
    local = Targets.of((target("10.244.2.10:80"),), (target("10.244.1.10:80"),))
    part = msgspec.structs.replace(with_port(web, ipv4=local), external_local=True)
    assert {"10.96.0.5:80/TCP": ["10.244.1.10:80", "10.244.2.10:80"]} == told(part)


def test_associations_of_sctp_are_as_flows_of_udp() -> None:
    web = service("web", ["10.96.0.5"], ["10.244.1.10:80"], protocol="SCTP")
    assert {"10.96.0.5:80/SCTP": ["10.244.1.10:80"]} == told(web)


@pytest.mark.parametrize(
    "part",
    [
        BASE,
        headless("db"),
        external_name("out", "example.org"),
    ],
)
def test_everything_else_expects_nothing(part: Part) -> None:
    assert {} == told(part)


def test_a_headless_service_of_udp_expects_nothing() -> None:
    port = VirtualPort("dns", "UDP", 53, 0)
    assert {} == told(msgspec.structs.replace(headless("db"), ports=(port,)))


@given(state=states())
def test_no_two_parts_have_a_place_in_common(state: NodeState) -> None:
    rendered = [render(state.base, part) for part in state.parts]
    assert sum(map(len, rendered)) == len({place for part in rendered for place in part})


# ------------------------------------------------------------------------------------------------


def test_the_scope_is_the_sites_ranges_and_its_nodes() -> None:
    base = msgspec.structs.replace(
        BASE, external_cidrs=("203.0.113.0/28",), node_ports=(31000, 31999)
    )
    scope = scope_of(base)
    assert Range(pack("10.96.0.0"), pack("10.96.0.255")) in scope.services
    assert Range(pack("203.0.113.0"), pack("203.0.113.15")) not in scope.services
    assert Range(pack("fd00:244::"), pack("fd00:244:0:ffff:ffff:ffff:ffff:ffff")) in scope.workloads
    assert {pack("192.0.2.1"), pack("2001:db8::1")} == scope.here
    assert scope.here < scope.nodes
    assert pack("192.0.2.3") in scope.nodes
    assert (31000, 31999) == scope.node_ports


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_a_site_of_one_family_has_a_scope_of_it(family: str) -> None:
    scope = scope_of(of_family(family))
    width = 4 if family == "IPv4" else 16
    addresses = [each for r in (*scope.services, *scope.workloads) for each in r] + [*scope.nodes]
    assert {width} == {*map(len, addresses)}
