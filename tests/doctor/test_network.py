"""Findings of interfaces, addresses, routes and listeners, from facts as data."""

import msgspec
import pytest
from msgspec.structs import replace

from groundplane.doctor import (
    AddressFact,
    Listener,
    RouteFact,
    diagnose,
)
from groundplane.site.compiled import Overlay
from tests.doctor.findings import EXPOSED, GOOD, commands, found, the
from tests.kernel.spaces import based
from tests.states import BASE


def test_the_bridge() -> None:
    missing = replace(GOOD, interfaces={"lo": True, "uplink": True})
    assert [("error", "interface groundplane0")] == found(missing)
    down = the(replace(GOOD, interfaces={**GOOD.interfaces, "groundplane0": False}))
    assert ("error", ["ip link set groundplane0 up"]) == (down.severity, commands(down))
    bare = the(replace(GOOD, addresses=GOOD.addresses[:-1]))
    assert "ip address add fd00:244:0:1::1/64 dev groundplane0" == commands(bare)[0]


TUNNELLED = based(
    overlay=Overlay("vxlan", 7071, 4790),
    peers=(msgspec.structs.replace(BASE.peers[0], tunnel="x"),),
)
TUNNELS = replace(
    GOOD,
    interfaces={**GOOD.interfaces, "groundplane1": True},
    addresses=(
        *GOOD.addresses,
        AddressFact("groundplane1", "10.244.1.1", 32),
        AddressFact("groundplane1", "fd00:244:0:1::1", 128),
    ),
)


def test_the_overlay() -> None:
    assert [] == list(diagnose(TUNNELLED, TUNNELS, EXPOSED))
    (missing,) = diagnose(TUNNELLED, GOOD, EXPOSED)
    assert ("error", "interface groundplane1") == (missing.severity, missing.subject)
    assert missing.message.endswith("cannot be reached from here: n2.")
    down = replace(TUNNELS, interfaces={**TUNNELS.interfaces, "groundplane1": False})
    assert ["ip link set groundplane1 up"] == commands(*diagnose(TUNNELLED, down, EXPOSED))
    bare = replace(TUNNELS, addresses=TUNNELS.addresses[:-1])
    assert ["ip address add fd00:244:0:1::1/128 dev groundplane1"] == commands(
        *diagnose(TUNNELLED, bare, EXPOSED)
    )


@pytest.mark.parametrize(
    ("address", "severity", "told"),
    [
        (AddressFact("lo", "10.96.0.10", 32), "error", "service range 10.96.0.0/24"),
        (AddressFact("lo", "fd00:96::10", 128), "error", "service range fd00:96::/112"),
        (AddressFact("eth1", "10.244.2.9", 24), "error", "workloads of Node/n2"),
        (AddressFact("eth1", "10.244.1.9", 24), "error", "this node's workloads"),
        (AddressFact("eth1", "192.0.2.3", 24), "error", "the address of Node/n3"),
        (AddressFact("uplink", "203.0.113.9", 32), "warning", "a service's external address"),
    ],
)
def test_addresses(address: AddressFact, severity: str, told: str) -> None:
    local = RouteFact(f"{address.address}/{128 if ':' in address.address else 32}", kind="local")
    facts = replace(GOOD, addresses=(*GOOD.addresses, address), routes=(*GOOD.routes, local))
    finding = the(facts, EXPOSED)
    assert severity == finding.severity
    assert told in finding.message
    deletion = f"ip address del {address.address}/{address.length} dev {address.interface}"
    assert [deletion] == commands(finding)


@pytest.mark.parametrize(
    ("route", "severity", "told", "command"),
    [
        (
            RouteFact("10.96.0.128/25", "tun0", "192.0.2.9", 3),
            "warning",
            "service range",
            "ip route del 10.96.0.128/25 dev tun0",
        ),
        (
            RouteFact("10.96.0.0/24", "tun0"),
            "error",
            "service range",
            "ip route del 10.96.0.0/24 dev tun0",
        ),
        (
            RouteFact("10.96.0.0/25", "lo", kind="local"),
            "error",
            "service range",
            "ip route del local 10.96.0.0/25 dev lo",
        ),
        (
            RouteFact("fd00:96::/120", "", protocol=3, kind="blackhole"),
            "warning",
            "service range",
            "ip -6 route del blackhole fd00:96::/120",
        ),
        (
            RouteFact("10.244.2.0/25", "br-1", protocol=2),
            "error",
            "workloads of Node/n2",
            "ip route del 10.244.2.0/25 dev br-1",
        ),
        (
            RouteFact("10.244.1.7/32", "eth1"),
            "error",
            "workloads of Node/n1",
            "ip route del 10.244.1.7/32 dev eth1",
        ),
        (
            RouteFact("10.244.9.0/24", "br-1", protocol=2),
            "warning",
            "workload range 10.244.0.0/16",
            "ip route del 10.244.9.0/24 dev br-1",
        ),
    ],
)
def test_routes(route: RouteFact, severity: str, told: str, command: str) -> None:
    finding = the(replace(GOOD, routes=(*GOOD.routes, route)))
    assert (severity, [command]) == (finding.severity, commands(finding))
    assert told in finding.message


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        (Listener("TCP", "0.0.0.0", 30080), 1),
        (Listener("TCP", "::", 30080), 1),
        (Listener("UDP", "192.0.2.1", 30053), 1),
        (Listener("UDP", "192.0.2.1", 30080), 0),
        (Listener("TCP", "127.0.0.1", 30080), 0),
        (Listener("TCP", "0.0.0.0", 32000), 0),  # the health check's own server
    ],
)
def test_listeners(listener: Listener, expected: int) -> None:
    facts = replace(GOOD, listeners=(listener,))
    subject = f"listener on {listener.address} port {listener.port}/{listener.protocol}"
    assert [("warning", subject)] * expected == found(facts, EXPOSED)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("192.0.2.50", ""),
        ("198.51.100.9", "behind the router 192.0.2.254"),
        ("10.244.2.9", "behind the router 192.0.2.2"),
        ("2001:db8:9::9", "behind the router 2001:db8::fe"),
    ],
)
def test_direct_routing_reaches_what_is_on_a_link(address: str, where: str) -> None:
    direct = replace(EXPOSED, direct=(address,))
    assert [] == found(GOOD, direct)
    findings = diagnose(based(proxy_mode="ipvs"), GOOD, direct)
    assert [f"endpoint {address}"] * bool(where) == [each.subject for each in findings]
    assert all(where in each.message for each in findings)


def test_direct_routing_needs_a_way() -> None:
    facts = replace(GOOD, routes=tuple(each for each in GOOD.routes if not each.gateway))
    (finding,) = diagnose(
        based(proxy_mode="ipvs"), facts, replace(EXPOSED, direct=("198.51.100.9",))
    )
    assert "on none of its links" in finding.message


def test_a_workload_that_left_the_node_and_still_runs_there() -> None:
    (workload,) = BASE.workloads
    finding = the(replace(GOOD, workloads=(workload.instance, "shop-old")))
    assert ("warning", "workload shop-old") == (finding.severity, finding.subject)
    assert ["systemctl disable --now groundplane-netns@shop-old"] == commands(finding)
