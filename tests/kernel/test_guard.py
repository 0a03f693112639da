"""What a workload sends to harm its neighbours, frame by frame, on the node n1 (b against a)."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

import pytest

from groundplane.project.node import local_workload, project_base
from groundplane.site import compiled
from tests.kernel import frames
from tests.kernel.frames import (
    ALL_NODES,
    BROADCAST,
    Wire,
    advertisement,
    arp,
    datagram,
    icmpv6,
    lldp,
    router,
    solicitation,
    tagged,
)
from tests.kernel.spaces import namespace
from tests.kernel.world import World, ask, bridged, ip, run, within

pytestmark = pytest.mark.kernel

A4, B4, GATEWAY4 = "10.244.1.10", "10.244.1.11", "10.244.1.1"
A6, B6, GATEWAY6 = "fd00:244:0:1::10", "fd00:244:0:1::11", "fd00:244:0:1::1"
LINK_LOCAL: Final = "fe80::bad"
ELSEWHERE: Final = "10.244.2.10"  # c, on the node n2
SETTLED_S: Final = 0.15


class Known(NamedTuple):
    """Hardware addresses: of a, of b, of the bridge."""

    a: str
    b: str
    bridge: str


def _as_a(known: Known) -> Iterator[bytes]:
    """The neighbour's hardware address as the source, of what b may send otherwise."""
    a, _, bridge = known
    yield datagram(a, bridge, B4, ELSEWHERE)
    yield datagram(a, bridge, B6, "fd00:244:0:2::10")
    yield arp(a, BROADCAST, (a, B4), GATEWAY4, 1)
    yield solicitation(a, "33:33:ff:00:00:01", B6, GATEWAY6, "ff02::1:ff00:1")
    # What no bridge passes on is learned from all the same.
    yield lldp(a)


def _as_bridge(known: Known) -> Iterator[bytes]:
    yield datagram(known.bridge, known.a, GATEWAY4, A4)
    yield arp(known.bridge, BROADCAST, (known.bridge, B4), A4)
    yield lldp(known.bridge)


def _arp(known: Known) -> Iterator[bytes]:
    """Claims of the neighbour's address, and of the gateway's, to all, to the node, to the neighbour."""
    a, b, bridge = known
    for to in (BROADCAST, bridge, a):
        for operation in (1, 2):
            yield arp(b, to, (b, A4), GATEWAY4, operation)
            yield arp(b, to, (b, A4), A4, operation)
            yield arp(b, to, (b, GATEWAY4), A4, operation)
            yield arp(b, to, (a, B4), GATEWAY4, operation)  # its own, at the neighbour's


def _discovery(known: Known) -> Iterator[bytes]:
    """The same of IPv6, from every address that b may try."""
    a, b, bridge = known
    for to in (ALL_NODES, bridge, a):
        for sender in (B6, A6, GATEWAY6, LINK_LOCAL):
            for about in (A6, GATEWAY6, LINK_LOCAL):
                yield advertisement(b, to, sender, about, b)
                yield advertisement(b, to, sender, about, a)
        for sender in (A6, GATEWAY6, LINK_LOCAL, "::"):
            yield solicitation(b, to, sender, A6, "ff02::1:ff00:10")


def _routers(known: Known) -> Iterator[bytes]:
    """Advertisements of a router, and what makes a bridge send multicast to one port alone."""
    a, b, bridge = known
    for to in (ALL_NODES, a, bridge):
        for sender in (LINK_LOCAL, B6, GATEWAY6):
            yield router(b, to, sender, "2001:db8:bad::")
            yield icmpv6(b, to, sender, A6, 137, bytes(4) + 2 * frames.packed(B6))  # a redirect
            yield icmpv6(b, to, sender, "ff02::1", 130, bytes(20))  # a query of MLD


def _past_the_node(known: Known) -> Iterator[bytes]:
    """Datagrams to the neighbour in frames that are not for the bridge."""
    a, b, bridge = known
    for to in (BROADCAST, ALL_NODES, "01:00:5e:00:00:01", a):
        yield datagram(b, to, B4, A4)
        yield datagram(b, to, B6, A6)
        yield datagram(b, to, B4, "224.0.0.1")
        yield datagram(b, to, B6, "ff02::1")
    yield datagram(b, bridge, A4, ELSEWHERE)
    yield datagram(b, bridge, "10.244.1.77", A4)
    yield frames.ethernet(b, BROADCAST, 0x88B5, b"attack")  # IEEE's for experiments
    yield frames.ethernet(b, a, 0x88B5, b"attack")


def _tagged(known: Known) -> Iterator[bytes]:
    """The same, in VLAN 0, which is none, and in another one."""
    for attack in (_as_a, _as_bridge, _arp, _discovery, _routers, _past_the_node):
        for frame in attack(known):
            yield tagged(frame, 0)
            yield tagged(frame, 7)


Attack = Callable[[Known], Iterator[bytes]]
ATTACKS: Final[Mapping[str, Attack]] = {
    "as-the-neighbour": _as_a,
    "as-the-bridge": _as_bridge,
    "arp": _arp,
    "neighbour-discovery": _discovery,
    "routers": _routers,
    "past-the-node": _past_the_node,
    "tagged": _tagged,
}


def _known(site: compiled.Site) -> Known:
    base = project_base(site, "n1")
    macs = {workload.name: workload.mac for workload in base.workloads}
    return Known(macs["a"], macs["b"], base.bridge_mac)


def _wire(netns: str) -> Wire:
    return within(netns, partial(Wire, "eth0"))


def _seen_by(wire: Wire, own: str, *senders: str) -> list[str]:
    """Return what *wire* hears that is not from *senders* to all or to *own*, as hexadecimal."""
    time.sleep(SETTLED_S)
    allowed = [frames.mac(each) for each in senders]
    return [
        frame.hex()
        for frame in wire.heard()
        if frame[6:12] not in allowed
        or not (frame[0] & 1 or frame[:6] == frames.mac(own))
        or b"attack" in frame
    ]


def _state(net: World) -> tuple[list[str], dict[str, str]]:
    """Return where the bridge sends frames, and who the node takes for whom on it."""
    forwarding = run(net.node("n1"), "bridge", "-j", "fdb", "show", "br", "groundplane0")
    ports = sorted(
        f"{each['mac']} {each['ifname']}"
        for each in json.loads(forwarding)
        if each["ifname"].startswith("gpw")
    )
    neighbours = json.loads(run(net.node("n1"), "ip", "-j", "neigh", "show", "dev", "groundplane0"))
    return ports, {each["dst"]: each["lladdr"] for each in neighbours if "lladdr" in each}


def _work(net: World) -> None:
    """a and b reach each other, c, the node, and services."""
    for source, other, name in (("a", B4, "b"), ("b", A4, "a"), ("a", B6, "b"), ("b", A6, "a")):
        port = 8080 if name == "a" else 8081
        (seen,) = ask(net.workload(source), other, port, "TCP")
        assert seen.split()[0] == name
    for source, address in (("a", "10.96.0.10"), ("b", "fd00:96::a")):
        assert {"a", "b", "c"} == {
            each.split()[0] for each in ask(net.workload(source), address, 80, "TCP", times=40)
        }


@pytest.mark.parametrize("bridged_value", [0, 1], ids=["plain", "bridged"])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=[*ATTACKS])
def test_no_frame_of_a_workload_harms_its_neighbour(
    net: World, attack: Attack, bridged_value: int
) -> None:
    known = _known(net.site)
    bridged(net.node("n1"), bridged_value)
    _work(net)
    before = _state(net)
    routes = run(net.workload("a"), "ip", "-6", "route"), run(net.workload("a"), "ip", "-br", "a")
    victim, attacker = _wire(net.workload("a")), _wire(net.workload("b"))
    try:
        attacker.send(*attack(known))
        assert [] == _seen_by(victim, known.a, known.bridge)
        _work(net)
        # What br_netfilter translates stays on the bridge, from whom it is.
        senders = known if bridged_value else (known.bridge,)
        assert [] == _seen_by(victim, known.a, *senders)
        assert [] == _seen_by(attacker, known.b, *senders)
    finally:
        victim.close()
        attacker.close()
        bridged(net.node("n1"), 0)
    after = _state(net)
    assert before[0] == after[0]
    assert before[1].items() <= after[1].items()
    assert {known.a, known.b} >= {*after[1].values()}
    assert routes == (
        run(net.workload("a"), "ip", "-6", "route"),
        run(net.workload("a"), "ip", "-br", "a"),
    )


def test_on_a_bridge_without_a_guard_the_attacks_succeed() -> None:
    """So that the frames above are known to be what they say."""
    known = Known(*(local_workload("default", name, ()).mac for name in "abc"))
    with namespace("open") as node, namespace("open-a") as left, namespace("open-b") as right:
        ip(f"-n {node} link add groundplane0 address {known.bridge} type bridge")
        ip(f"-n {node} link set groundplane0 up")
        for name, space, own in (("a", left, known.a), ("b", right, known.b)):
            ip(
                f"-n {node} link add gpw{name} type veth peer name eth0 netns {space}",
                f"-n {node} link set gpw{name} master groundplane0 up",
                f"-n {space} link set eth0 address {own} up",
            )
        for address in (A4 + "/32", A6 + "/128 nodad"):
            ip(f"-n {left} address add {address} dev eth0")
        victim, attacker = _wire(left), _wire(right)
        moved, deadline = False, time.monotonic() + 10
        while not moved and time.monotonic() < deadline:  # a port forwards a moment after it is up
            attacker.send(lldp(known.a))
            where = run(node, "bridge", "fdb", "show", "br", "groundplane0")
            moved = f"{known.a} dev gpwb" in where
        assert moved
        victim.send(arp(known.a, BROADCAST, (known.a, A4), GATEWAY4, 1))
        for name, attack in ATTACKS.items():
            if name != "as-the-bridge":
                [*victim.heard()]
                attacker.send(*attack(known))
                assert _seen_by(victim, known.a, known.bridge), name
        assert "2001:db8:bad:" in run(left, "ip", "-6", "address", "show", "dev", "eth0")
        victim.close()
        attacker.close()
