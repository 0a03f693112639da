"""Real packets fare as `simulate` says, on random states: the two know nothing of each other."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from groundplane.compile.port_ids import number_pools
from groundplane.net.address import family_of
from groundplane.net.protocols import Family, Protocol
from groundplane.project import NodeState, project_service
from groundplane.project.select_endpoints import Place
from groundplane.simulate import Outcome, Packet, Simulator, Target
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from tests.kernel.stage import BASE_OF_STAGE, OUTSIDE, WORKLOADS, Seen, Stage, stage

pytestmark = pytest.mark.kernel

# 800 packets, and 2,000 of the thorough profile.
EXAMPLES, PACKETS = max(10, settings().max_examples // 4), 80
HERE = Place("n1", "z1")

# address of each family, node, zone: two of this node, the node itself, and others
PLACES = (
    ("10.244.1.10", "fd00:244:0:1::10", "n1", "z1"),
    ("10.244.1.11", "fd00:244:0:1::11", "n1", "z1"),
    ("192.0.2.1", "2001:db8::1", "n1", "z1"),
    ("10.244.2.10", "fd00:244:0:2::10", "n2", "z1"),
    ("10.244.3.10", "fd00:244:0:3::10", "n3", "z2"),
    ("192.0.2.2", "2001:db8::2", "n2", "z1"),
    ("198.51.100.7", "2001:db8:9::7", "", "z2"),
)


@st.composite
def endpoints(draw: st.DrawFn, ports: int, *, hinted: bool) -> Endpoint:
    ipv4, ipv6, node, zone = draw(st.sampled_from(PLACES))
    ready, serving, terminating = draw(
        st.sampled_from([(True, True, False)] * 4 + [(False, True, True), (False, False, False)])
    )
    return Endpoint(
        draw(st.sampled_from(["w1", "w2", "w3", "failing"])),
        node,
        "",
        ipv4 if draw(st.integers(0, 7)) else "",
        ipv6 if draw(st.integers(0, 7)) else "",
        tuple(draw(st.sampled_from([8080, 8081, 8080, 8081, 0])) for _ in range(ports)),
        ready,
        serving,
        terminating,
        draw(st.sampled_from([1, 1, 1, 0, 3, 256])),
        (zone,) if hinted and draw(st.integers(0, 7)) else (),
        (node,) if hinted and node and draw(st.booleans()) else (),
    )


@st.composite
def services(draw: st.DrawFn, number: int) -> compiled.Service:
    families: tuple[Family, ...] = draw(
        st.sampled_from([("IPv4", "IPv6"), ("IPv4", "IPv6"), ("IPv4",), ("IPv6",)])
    )
    count = draw(st.integers(1, 2))

    def own(ipv4: str, ipv6: str) -> tuple[str, ...]:
        return tuple(ipv4 if family == "IPv4" else ipv6 for family in families)

    outside = draw(st.sampled_from(["", "external", "balanced", "both"]))
    sticky = draw(st.sampled_from([0, 0, 0, 5, 10800]))
    ranges = ("192.0.2.0/26", "2001:db8::/61", "10.244.1.10/31", "fd00:244:0:1::/120")
    hinted = draw(st.sampled_from([False, False, True]))
    return compiled.Service(
        "default",
        f"s{number}",
        families,
        own(f"10.96.0.{number}", f"fd00:96::{number:x}"),
        tuple(
            Port(
                f"p{index}",
                draw(st.sampled_from(["TCP", "TCP", "UDP"])),
                80 + index,
                0,
                draw(st.sampled_from([0, 30000 + 2 * number + index])),
            )
            for index in range(count)
        ),
        columns(draw(st.lists(endpoints(count, hinted=hinted), max_size=9))),
        publish_not_ready=draw(st.integers(0, 9)) == 0,
        external_ips=own(f"203.0.113.{number}", f"2001:db8:113::{number:x}")
        if outside in ("external", "both")
        else (),
        load_balancer_ips=own(f"203.0.113.{number + 8}", f"2001:db8:113::{number + 8:x}")
        if outside in ("balanced", "both")
        else (),
        source_ranges=draw(st.sampled_from([(), ranges, ranges[:1], ranges[1:]])),
        affinity_seconds=sticky,
        consistent_hash=not sticky and draw(st.integers(0, 3)) == 0,
        internal_local=draw(st.integers(0, 3)) == 0,
        external_local=draw(st.booleans()),
    )


@st.composite
def states(draw: st.DrawFn) -> NodeState:
    drawn = [draw(services(number)) for number in range(2, 2 + draw(st.integers(1, 4)))]
    pools = number_pools(
        (*each.key, port.protocol, port.port) for each in drawn for port in each.ports
    )
    numbered = [
        msgspec.structs.replace(
            each,
            ports=tuple(
                msgspec.structs.replace(port, pool=pools[*each.key, port.protocol, port.port])
                for port in each.ports
            ),
        )
        for each in drawn
    ]
    base = msgspec.structs.replace(
        BASE_OF_STAGE,
        egress_masquerade=draw(st.integers(0, 3)) != 0,
        cluster_ips_from_outside=draw(st.integers(0, 3)) != 0,
    )
    failing = frozenset({("default", "failing")})
    return NodeState.of(base, [project_service(each, HERE, failing) for each in numbered])


SOURCES = [
    *((text, False) for addresses in WORKLOADS.values() for text in addresses),
    *((text, False) for text in OUTSIDE),
    ("192.0.2.1", True),
    ("2001:db8::1", True),
]


@st.composite
def packets(draw: st.DrawFn, state: NodeState) -> Packet:
    """Draw a packet to a port of a service, or near one."""
    source, sent_here = draw(st.sampled_from(SOURCES))
    family = family_of(source)
    asked = [
        (address, port.protocol, number)
        for service in state.services.values()
        for port in service.ports
        for address, number in [
            *((ip, port.port) for ip in (*service.cluster_ips, *service.external_ips,
                                         *service.load_balancer_ips)),
            *((ip, port.node_port) for ip in state.base.addresses if port.node_port),
        ]
        if family_of(address) == family
    ]  # fmt: skip
    unused = "10.96.0.77" if family == "IPv4" else "fd00:96::77"
    near: list[tuple[str, Protocol, int]] = [(unused, "TCP", 80)]
    near += [(address, "TCP", 22) for address, _, number in asked if number < 30000]
    address, protocol, number = draw(st.sampled_from((asked * 4 or near) + near))
    return Packet(protocol, source, address, number, sent_here)


@pytest.fixture(scope="module")
def scene() -> Iterator[Stage]:
    with stage() as built:
        yield built


def fits(packet: Packet, outcome: Outcome, seen: Seen) -> bool:
    if outcome.verdict == "translated":
        if seen.verdict != "answered":
            return False
        masqueraded = outcome.targets.get(Target(seen.address, seen.port))
        if masqueraded is None:
            return False
        # The node's own packets have one of its addresses anyway.
        return packet.sent_here or masqueraded == (seen.client != packet.source)
    if outcome.verdict == "untouched":
        return seen.verdict == "refused"  # the node has no listener of its own
    return outcome.verdict in (seen.verdict, *seen.verdict.split(" or "))


@dataclass(frozen=True, repr=False)  # it would fill pages
class Scenario:
    state: NodeState
    packets: list[Packet]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    state = draw(states())
    sent = draw(st.lists(packets(state), min_size=PACKETS, max_size=PACKETS))
    return Scenario(state, sent)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=list(HealthCheck),
)
@given(scenario=scenarios())
def test_packets_fare_as_simulated(scene: Stage, scenario: Scenario) -> None:
    simulator = Simulator(scenario.state)
    scene.load(scenario.state)
    answers = scene.send(scenario.packets)
    wrong = [
        f"{packet}\n  simulated: {outcome.verdict}, {outcome.reason} {dict(outcome.targets)}"
        f"\n  real: {seen}"
        for packet, seen in zip(scenario.packets, answers, strict=True)
        if not fits(packet, outcome := simulator.run(packet), seen)
    ]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
