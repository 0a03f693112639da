"""What becomes of a packet: what a service means, told of states made by hand."""

from typing import Any

import msgspec
import pytest

from groundplane.net.address import pack
from groundplane.project.node import project_service
from groundplane.project.state import NodeBase, NodeState
from groundplane.simulate import Outcome, Packet, Simulator, Target
from groundplane.simulate.jhash import slot_of
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from groundplane.site.map_limits import HASH_SEED, HASH_SLOTS
from tests.states import BASE, HERE, headless, state

# Who sends: workloads of this node and of another, this node, its peer, and one outside.
A, B, REMOTE = "10.244.1.10", "10.244.1.11", "10.244.2.9"
NODE, PEER, OUTSIDE = "192.0.2.1", "192.0.2.2", "198.51.100.7"
SENDERS = (A, B, REMOTE, NODE, PEER, OUTSIDE)
VIP, EXTERNAL, BALANCED, NODE_PORT = "10.96.0.5", "203.0.113.5", "203.0.113.6", 30080


def endpoint(ipv4: str, node: str, ipv6: str = "", port: int = 8080, **more: Any) -> Endpoint:
    return Endpoint("", node, "", ipv4, ipv6, (port,), **more)


OWN, FAR = endpoint(A, "n1"), endpoint("10.244.2.10", "n2")
HOST, AWAY = endpoint(NODE, "n1"), endpoint("198.51.100.99", "")
TO_OWN, TO_FAR, TO_HOST, TO_AWAY = (
    Target(each.ipv4, 8080) for each in (OWN, FAR, HOST, AWAY)
)  # fmt: skip


def simulated(
    *endpoints: Endpoint, base: NodeBase = BASE, families: Any = ("IPv4",), **fields: Any
) -> Simulator:
    """Return the node n1 with one service, that all its addresses lead to."""
    plain = compiled.Service(
        "default",
        "web",
        families,
        (VIP, "fd00:96::5")[: len(families)],
        (Port("http", "TCP", 80, 2, NODE_PORT),),
        columns(endpoints),
        external_ips=(EXTERNAL,),
        load_balancer_ips=(BALANCED,),
    )
    made = msgspec.structs.replace(plain, **fields)
    return Simulator(NodeState.of(base, [project_service(made, HERE, frozenset())]))


def send(node: Simulator, source: str, destination: str = VIP, port: int = 80) -> Outcome:
    """Send a packet as *source*; what has the node's address is sent by the node itself."""
    return node.run(Packet("TCP", source, destination, port, sent_here=source == NODE))


def verdict(found: Outcome) -> tuple[str, str]:
    return found.verdict, found.reason


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SENDERS)
def test_a_cluster_ip_leads_to_any_of_its_endpoints(source: str) -> None:
    found = send(simulated(OWN, FAR), source)
    assert ("translated", "any of its endpoints") == verdict(found)
    assert {TO_OWN, TO_FAR} == found.targets.keys()


@pytest.mark.parametrize(
    ("source", "masqueraded"),
    [
        (A, {TO_OWN: True, TO_FAR: False}),  # it meets itself, and would answer itself
        (B, {TO_OWN: False, TO_FAR: False}),
        (REMOTE, {TO_OWN: False, TO_FAR: False}),
        (NODE, {TO_OWN: True, TO_FAR: True}),
        (PEER, {TO_OWN: True, TO_FAR: True}),
        (OUTSIDE, {TO_OWN: True, TO_FAR: True}),
    ],
)
def test_workloads_keep_their_address_and_all_others_come_as_the_node(
    source: str, masqueraded: dict[Target, bool]
) -> None:
    assert masqueraded == send(simulated(OWN, FAR), source).targets


@pytest.mark.parametrize("source", SENDERS)
def test_what_ends_on_the_node_itself_keeps_its_address(source: str) -> None:
    assert {TO_HOST: False} == send(simulated(HOST), source).targets


@pytest.mark.parametrize(
    ("changes", "masqueraded"),
    [
        ({}, True),
        ({"egress_masquerade": False}, False),
        ({"non_masquerade_cidrs": ("198.51.100.0/24",)}, False),
    ],
)
def test_a_workload_leaves_the_site_as_egress_says(
    changes: dict[str, Any], masqueraded: bool
) -> None:
    node = simulated(AWAY, base=msgspec.structs.replace(BASE, **changes))
    assert {TO_AWAY: masqueraded} == send(node, B).targets


@pytest.mark.parametrize("egress", [True, False])
def test_a_workload_is_its_node_to_a_node_that_the_overlay_leads_to(egress: bool) -> None:
    first, *others = BASE.peers
    peers = (msgspec.structs.replace(first, tunnel=PEER), *others)
    base = msgspec.structs.replace(BASE, peers=peers, egress_masquerade=egress)
    target = {Target(PEER, 8080): True}
    assert target == send(simulated(endpoint(PEER, "n2"), base=base), B).targets


def test_another_node_is_not_outside() -> None:
    assert {Target(PEER, 8080): False} == send(simulated(endpoint(PEER, "n2")), B).targets


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SENDERS)
@pytest.mark.parametrize(
    ("destination", "port"), [(VIP, 80), (EXTERNAL, 80), (BALANCED, 80), (NODE, NODE_PORT)]
)
def test_without_an_endpoint_it_is_refused(source: str, destination: str, port: int) -> None:
    for local in (False, True):
        node = simulated(internal_local=local, external_local=local)
        found = send(node, source, destination, port)
        assert ("refused", "it has no endpoint") == verdict(found)


@pytest.mark.parametrize("address", [VIP, EXTERNAL, BALANCED])
def test_another_port_of_a_services_address_is_refused(address: str) -> None:
    reason = f"{address} is a service's, but not with this port"
    assert ("refused", reason) == verdict(send(simulated(OWN), B, address, 22))
    datagram = simulated(OWN).run(Packet("UDP", B, address, 80))
    assert ("refused", reason) == verdict(datagram)


def test_an_address_of_the_service_range_that_nobody_has_is_dropped() -> None:
    expected = ("dropped", "no service has the address 10.96.0.77")
    assert expected == verdict(send(simulated(OWN), B, "10.96.0.77"))


@pytest.mark.parametrize(
    ("destination", "port"),
    [
        ("198.51.100.7", 80),
        ("203.0.113.99", 80),
        (NODE, 22),
        (PEER, NODE_PORT),
        ("127.0.0.1", NODE_PORT),
        ("10.244.1.1", NODE_PORT),
    ],
)
def test_what_is_no_services_is_left_alone(destination: str, port: int) -> None:
    found = send(simulated(OWN), NODE, destination, port)
    assert ("untouched", f"{destination} is not an address of a service") == verdict(found)
    assert found.frontend is None


def test_a_headless_service_has_no_address() -> None:
    node = Simulator(state(headless("db")))
    assert "dropped" == send(node, B).verdict


# ------------------------------------------------------------------------------------------------

OUTSIDE_WAYS = [(EXTERNAL, 80), (BALANCED, 80), (NODE, NODE_PORT)]


@pytest.mark.parametrize("source", SENDERS)
@pytest.mark.parametrize(("destination", "port"), OUTSIDE_WAYS)
def test_from_outside_everyone_comes_as_the_node(source: str, destination: str, port: int) -> None:
    """Workloads too: what answers them may be on another node, whose answer has to come back."""
    found = send(simulated(OWN, FAR), source, destination, port)
    assert {TO_OWN: True, TO_FAR: True} == found.targets


@pytest.mark.parametrize(("destination", "port"), OUTSIDE_WAYS)
def test_external_policy_local_leads_to_this_nodes_endpoints_and_keeps_the_source(
    destination: str, port: int
) -> None:
    node = simulated(OWN, FAR, external_local=True)
    for source in (OUTSIDE, PEER):
        assert {TO_OWN: False} == send(node, source, destination, port).targets


@pytest.mark.parametrize(("destination", "port"), OUTSIDE_WAYS)
def test_external_policy_local_does_not_bind_workloads_and_the_node(
    destination: str, port: int
) -> None:
    node = simulated(OWN, FAR, external_local=True)
    assert {TO_OWN: False, TO_FAR: False} == send(node, B, destination, port).targets
    assert {TO_OWN: True, TO_FAR: True} == send(node, NODE, destination, port).targets


@pytest.mark.parametrize(("destination", "port"), OUTSIDE_WAYS)
def test_external_policy_local_drops_where_no_endpoint_is_here(destination: str, port: int) -> None:
    found = send(simulated(FAR, external_local=True), OUTSIDE, destination, port)
    reason = "its policy is Local, and no endpoint is on this node"
    assert ("dropped", reason) == verdict(found)


@pytest.mark.parametrize("source", SENDERS)
def test_internal_policy_local_binds_everyone_who_asks_the_cluster_ip(source: str) -> None:
    here, nobody = simulated(OWN, FAR, internal_local=True), simulated(FAR, internal_local=True)
    assert {TO_OWN} == send(here, source).targets.keys()
    assert "dropped" == send(nobody, source).verdict
    assert {TO_FAR} == send(nobody, source, EXTERNAL).targets.keys()


@pytest.mark.parametrize(
    ("source", "allowed"),
    [(OUTSIDE, True), ("198.51.100.128", False), (PEER, False), (NODE, False), (B, True)],
)
def test_source_ranges_guard_the_load_balancers_address_alone(source: str, allowed: bool) -> None:
    node = simulated(OWN, source_ranges=("198.51.100.0/25", "10.244.0.0/16"))
    found = send(node, source, BALANCED)
    assert ("translated" if allowed else "dropped") == found.verdict
    if not allowed:
        assert f"{source} is not in loadBalancerSourceRanges" == found.reason
    for destination, port in ((VIP, 80), (EXTERNAL, 80), (NODE, NODE_PORT)):
        assert "translated" == send(node, source, destination, port).verdict


def test_ranges_of_the_other_family_let_nobody_in() -> None:
    node = simulated(OWN, source_ranges=("2001:db8::/32",))
    assert "dropped" == send(node, OUTSIDE, BALANCED).verdict


@pytest.mark.parametrize(
    ("source", "expected"),
    [(A, "translated"), (REMOTE, "translated"), (NODE, "translated"), (PEER, "dropped"),
     (OUTSIDE, "dropped")],
)  # fmt: skip
def test_cluster_ips_may_be_closed_to_the_outside(source: str, expected: str) -> None:
    base = msgspec.structs.replace(BASE, cluster_ips_from_outside=False)
    found = send(simulated(FAR, base=base), source)
    assert expected == found.verdict
    if expected == "dropped":
        assert "clusterIPsFromOutside is drop" == found.reason
    assert "translated" == send(simulated(FAR, base=base), source, EXTERNAL).verdict


# ------------------------------------------------------------------------------------------------


def test_of_weight_0_nobody_gets_a_new_connection() -> None:
    assert {TO_FAR} == send(simulated(OWN._replace(weight=0), FAR), B).targets.keys()


def test_each_family_has_its_own_endpoints() -> None:
    both = endpoint(A, "n1", "fd00:244:0:1::10")
    node = simulated(both, FAR, families=("IPv4", "IPv6"))
    assert {TO_OWN, TO_FAR} == send(node, B).targets.keys()
    found = send(node, "fd00:244:0:1::11", "fd00:96::5").targets
    assert {Target("fd00:244:0:1::10", 8080): False} == found
    assert "translated" == send(node, "2001:db8::50", "2001:db8::1", NODE_PORT).verdict


def test_a_service_of_one_family_has_node_ports_of_that_family() -> None:
    assert "untouched" == send(simulated(OWN), "2001:db8::50", "2001:db8::1", NODE_PORT).verdict


def test_addresses_are_the_same_however_they_are_written() -> None:
    node = simulated(endpoint("", "n1", "fd00:244::9"), families=("IPv4", "IPv6"))
    assert "translated" == send(node, "2001:DB8::50", "FD00:0096:0::5").verdict


@pytest.mark.parametrize(("destination", "port"), [(VIP, 80), *OUTSIDE_WAYS])
def test_a_hashed_client_has_one_endpoint_whatever_it_asks(destination: str, port: int) -> None:
    many = [endpoint(f"10.244.2.{n}", "n2") for n in range(10, 20)]
    node = simulated(*many, consistent_hash=True)
    found = send(node, OUTSIDE, destination, port)
    assert found.frontend is not None
    slot = found.frontend.port.ipv4.cluster[slot_of(pack(OUTSIDE), HASH_SEED, HASH_SLOTS)]
    assert {Target(f"10.244.2.{slot[3]}", 8080)} == found.targets.keys()
    assert "the endpoint that the client's address hashes to" == found.reason
    clients = (f"198.51.100.{n}" for n in range(40))
    assert 10 == len({target for each in clients for target in send(node, each).targets})


@pytest.mark.parametrize(
    ("destination", "port", "way"),
    [
        (VIP, 80, "cluster IP"),
        (EXTERNAL, 80, "external IP"),
        (BALANCED, 80, "load balancer"),
        (NODE, NODE_PORT, "node port"),
    ],
)
def test_it_is_told_which_address_of_which_service_was_asked(
    destination: str, port: int, way: str
) -> None:
    frontend = send(simulated(OWN), OUTSIDE, destination, port).frontend
    assert frontend is not None
    assert ("web", "http", way) == (
        frontend.service.name,
        frontend.port.name,
        frontend.address_kind,
    )
