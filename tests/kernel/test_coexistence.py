"""Service traffic beside other programs' rules: what wins, and what docs/coexistence.md says to add."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from groundplane.project import NodeState, project_service
from groundplane.project.select_endpoints import Place
from groundplane.simulate import Packet, Simulator
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from tests.kernel.stage import BASE_OF_STAGE, Seen, Stage, stage
from tests.kernel.test_doctor import as_nft
from tests.kernel.test_simulate import fits
from tests.kernel.world import ip, run

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

RULESETS = Path(__file__).with_name("rulesets")
NEAR = Endpoint("a", "n1", "", "10.244.1.10", "fd00:244:0:1::10", (8080, 8080))
BESIDE = Endpoint("b", "n1", "", "10.244.1.11", "fd00:244:0:1::11", (8080, 8080))
FAR = Endpoint("far", "n2", "", "10.244.2.10", "fd00:244:0:2::10", (8080, 8080))
PORTS = (Port("http", "TCP", 80, 2), Port("dns", "UDP", 80, 4))


def service(name: str, number: int, *of: Endpoint) -> compiled.Service:
    ports = tuple(
        Port(port.name, port.protocol, port.port, port.pool + 8 * number, 30000 + number)
        for port in PORTS
    )
    return compiled.Service(
        "default",
        name,
        ("IPv4", "IPv6"),
        (f"10.96.0.{number}", f"fd00:96::{number}"),
        ports,
        columns(of),
        external_ips=(f"203.0.113.{number}", f"2001:db8:113::{number}"),
    )


SERVICES = (service("near", 2, NEAR), service("beside", 3, BESIDE), service("far", 4, FAR),
            service("none", 5))  # fmt: skip
STATE = NodeState.of(
    BASE_OF_STAGE, [project_service(each, Place("n1", ""), frozenset()) for each in SERVICES]
)
CLIENTS = {
    "IPv4": [
        ("10.244.1.10", False),
        ("10.244.1.11", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
    ],
    "IPv6": [
        ("fd00:244:0:1::10", False),
        ("fd00:244:0:1::11", False),
        ("2001:db8::1", True),
        ("2001:db8::2", False),
    ],
}
NODE = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}


def packets() -> list[Packet]:
    """Return a packet of every client to every way to each service."""
    found = []
    for family, clients in CLIENTS.items():
        four = family == "IPv4"
        for number in (2, 3, 4, 5):
            ways = [
                (f"10.96.0.{number}" if four else f"fd00:96::{number}", 80),
                (f"203.0.113.{number}" if four else f"2001:db8:113::{number}", 80),
                (NODE[family], 30000 + number),
            ]
            found += [
                Packet(protocol, source, *way, sent_here)
                for source, sent_here in clients
                for way in ways
                for protocol in ("TCP", "UDP")
            ]
    return found


PACKETS = packets()


def wrong(scene: Stage, sent: Sequence[Packet] = PACKETS) -> list[tuple[Packet, Seen]]:
    """Return the packets that fare otherwise than they do where nobody else filters."""
    simulator, seen = Simulator(STATE), scene.send(sent, patience=0.6)
    pairs = zip(sent, seen, strict=True)
    return [(p, s) for p, s in pairs if not fits(p, simulator.run(p), s)]


@pytest.fixture(scope="module")
def built() -> Iterator[Stage]:
    with stage() as on:
        on.load(STATE)
        yield on


@pytest.fixture
def scene(built: Stage) -> Iterator[Stage]:
    """Return the stage; what a test loads beside our tables is gone after it."""
    yield built
    for line in run(built.node, "nft", "list", "tables").splitlines():
        if "groundplane" not in line:
            run(built.node, "nft", "delete", line)


def load(scene: Stage, name: str) -> None:
    run(scene.node, "nft", "-f", str(RULESETS / name))


def insert(scene: Stage, *rules: str) -> None:
    for rule in rules:
        run(scene.node, "nft", f"insert rule {rule}")


def test_alone(scene: Stage) -> None:
    assert [] == wrong(scene)


def forwarded(packet: Packet) -> bool:
    return not packet.sent_here and not packet.destination.endswith("5") and packet.port != 30005


@pytest.mark.parametrize("bridged", [0, 1])
def test_docker_with_the_rules_that_the_page_says(scene: Stage, bridged: int) -> None:
    for name in ("iptables", "ip6tables"):
        run(scene.node, "sysctl", "-qw", f"net.bridge.bridge-nf-call-{name}={bridged}")
    load(scene, "docker.nft")
    lost = wrong(scene)
    # Its policy drops what is forwarded; what is refused or sent by the node never gets there.
    assert {True} == {forwarded(packet) for packet, _ in lost}
    assert {"dropped"} == {seen.verdict for _, seen in lost}
    for program, range_ in (("iptables", "10.244.0.0/16"), ("ip6tables", "fd00:244::/48")):
        for rest in ("-m conntrack --ctstate DNAT -j ACCEPT", f"-s {range_} -j ACCEPT",
                     f"-d {range_} -j ACCEPT"):  # fmt: skip
            line = as_nft(program, ["-I", "DOCKER-USER", *rest.split()])
            run(scene.node, "nft", line)
    assert [] == wrong(scene)


def test_firewalld_as_it_comes_and_with_the_commands_that_the_page_says(scene: Stage) -> None:
    """It accepts what is translated; plain packets from another node to a workload it does not."""
    load(scene, "firewalld.nft")
    assert [] == wrong(scene)
    from_peer = [Packet("TCP", "192.0.2.2", "10.244.1.10", 8080)]
    assert "answered" != scene.send(from_peer)[0].verdict
    run(scene.node, "nft", "delete table inet firewalld")
    load(scene, "firewalld-trusted.nft")
    assert [] == wrong(scene)
    assert "answered" == scene.send(from_peer)[0].verdict


def test_a_filter_written_by_hand_with_the_rules_that_the_page_says(scene: Stage) -> None:
    load(scene, "strict.nft")
    lost = wrong(scene)
    assert {True} == {forwarded(packet) for packet, _ in lost}
    insert(
        scene,
        "inet filter forward ct status dnat accept",
        "inet filter forward iifname groundplane0 accept",
        "inet filter forward oifname groundplane0 accept",
    )
    assert [] == wrong(scene)
    from_peer = [Packet("TCP", "192.0.2.2", "10.244.1.10", 8080)]
    assert "answered" == scene.send(from_peer)[0].verdict


def test_what_others_drop_by_the_service_address_is_dropped(scene: Stage) -> None:
    """A filter below -100 sees the service's address, one in forward asks conntrack for it."""
    run(scene.node, "nft", """table inet other {
      chain p { type filter hook prerouting priority -150; ip daddr 10.96.0.2 tcp dport 80 drop; }
      chain f { type filter hook forward priority 0; ct original ip daddr 10.96.0.4 drop; }
    }""")  # fmt: skip
    sent = [Packet("TCP", "10.244.1.11", f"10.96.0.{number}", 80) for number in (2, 3, 4)]
    assert ["dropped", "answered", "dropped"] == [each.verdict for each in scene.send(sent)]


def test_marks_of_others_are_left_as_they_are(scene: Stage) -> None:
    """Every bit of packet and conntrack marks: set before us, the same behind us, and routed by."""
    run(scene.node, "nft", """table inet marks {
      counter kept { }
      counter lost { }
      chain marking {
        type filter hook prerouting priority mangle
        iifname "groundplane0" jump every
      }
      chain own { type route hook output priority mangle; jump every; }
      chain every { meta mark set 0xffffffff ct mark set 0xa5a5a5a5; }
      chain behind {
        type filter hook postrouting priority 200
        ct status dnat ct direction original goto counted
      }
      chain counted {
        meta mark 0xffffffff ct mark 0xa5a5a5a5 counter name kept return
        iifname "groundplane0" counter name lost
      }
    }""")  # fmt: skip
    ip(f"-n {scene.node} rule add fwmark 0xffffffff table 77",
       f"-n {scene.node} route add blackhole 10.244.2.10/32 table 77")  # fmt: skip
    try:
        sent = [
            Packet("TCP", "10.244.1.11", "10.96.0.2", 80),
            Packet("UDP", "10.244.1.11", "203.0.113.2", 80),
            Packet("TCP", "192.0.2.1", "10.96.0.2", 80, sent_here=True),
            Packet("TCP", "10.244.1.11", "10.96.0.4", 80),
        ]
        seen = [each.verdict for each in scene.send(sent)]
    finally:
        ip(f"-n {scene.node} rule del fwmark 0xffffffff table 77")
    assert ["answered"] * 3 == seen[:3]
    assert "answered" != seen[3]  # its mark leads to the blackhole
    counters = run(scene.node, "nft", "list", "counters", "table", "inet", "marks")
    kept, lost = (part.split("packets ")[1].split()[0] for part in counters.split("counter ")[1:])
    assert int(kept) >= 3
    assert 0 == int(lost)


def test_the_first_translation_wins(scene: Stage) -> None:
    """A published port of another program, translated before us, is that program's."""
    run(scene.node, "nft", """table ip other {
      chain p {
        type nat hook prerouting priority -110
        ip daddr 192.0.2.1 tcp dport 30002 dnat to 10.244.1.11:8081
      }
    }""")  # fmt: skip
    (seen,) = scene.send([Packet("TCP", "192.0.2.2", "192.0.2.1", 30002)])
    assert ("10.244.1.11", 8081) == (seen.address, seen.port)
