"""Which endpoint a client gets: weights, consistent hashing, affinity, and very many endpoints."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from groundplane.dataplanes.diff import Delta
from groundplane.errors import KernelRefused
from groundplane.project import NodeState, project_service
from groundplane.project.select_endpoints import Place
from groundplane.simulate import Packet, Simulator
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from tests.kernel.stage import BASE_OF_STAGE, Seen, Stage, stage
from tests.kernel.world import run, within
from tests.rulesets import AFFINITY, MAPS

pytestmark = pytest.mark.kernel

HERE = Place("n1", "")
VIP = {"IPv4": "10.96.0.5", "IPv6": "fd00:96::5"}
EXTERNAL = {"IPv4": "203.0.113.5", "IPv6": "2001:db8:113::5"}
CLIENTS = {
    "IPv4": [f"198.51.100.{n}" for n in range(1, 201)],
    "IPv6": [f"2001:db8:77::{n:x}" for n in range(1, 201)],
}


@pytest.fixture(scope="module")
def scene() -> Iterator[Stage]:
    with stage() as built:
        yield built


def endpoint(number: int, weight: int = 1, node: str = "n2") -> Endpoint:
    """Return an endpoint in the world, reached by both families."""
    ipv4, ipv6 = f"10.244.{2 + number // 200}.{number % 200 + 1}", f"fd00:244:0:2::{number + 1:x}"
    return Endpoint(f"w{number}", node, "", ipv4, ipv6, (8080,), weight=weight)


def state(endpoints: Sequence[Endpoint], **fields: object) -> NodeState:
    """Return a state with one service, of cluster and external addresses, of both families."""
    service = compiled.Service(
        "default",
        "web",
        ("IPv4", "IPv6"),
        tuple(VIP.values()),
        (Port("http", "TCP", 80, 6, 30080),),
        columns(endpoints),
        external_ips=tuple(EXTERNAL.values()),
    )
    made = msgspec.structs.replace(service, **fields)
    base = BASE_OF_STAGE
    if made.affinity_seconds:
        base = msgspec.structs.replace(base, affinity_timeouts=(made.affinity_seconds,))
    return NodeState.of(base, [project_service(made, HERE, frozenset())])


def ask(scene: Stage, clients: Sequence[str], address: str, port: int = 80) -> list[str]:
    """Return the address of who answers each of *clients*."""
    packets = [Packet("TCP", client, address, port) for client in clients]
    seen: list[Seen] = []
    for start in range(0, len(packets), 250):
        seen += scene.send(packets[start : start + 250], patience=3)
    assert {"answered"} == {each.verdict for each in seen}
    return [each.address for each in seen]


@pytest.mark.parametrize("family", VIP)
def test_connections_are_shared_by_weight(scene: Stage, family: str) -> None:
    """Each within four standard deviations of its share of 1,000; weight 0 gets none."""
    weights = (3, 1, 0, 1)
    scene.load(state([endpoint(n, weight) for n, weight in enumerate(weights)]))
    shares = Counter(ask(scene, CLIENTS[family][:1] * 1000, VIP[family]))
    for number, weight in enumerate(weights):
        own = endpoint(number)
        share, chance = shares[own.ipv4] + shares[own.ipv6], weight / sum(weights)
        assert abs(share - 1000 * chance) <= 4 * (1000 * chance * (1 - chance)) ** 0.5, shares


def test_where_all_weights_are_0_they_are_equal(scene: Stage) -> None:
    scene.load(state([endpoint(n, 0) for n in range(3)]))
    assert 3 == len(set(ask(scene, CLIENTS["IPv4"][:60], VIP["IPv4"])))


@pytest.mark.parametrize("family", VIP)
def test_a_thousand_endpoints_of_one_service(scene: Stage, family: str) -> None:
    """As many of them are met as of a thousand that have the same share, and none too often."""
    scene.load(state([endpoint(n) for n in range(1000)]))
    met = Counter(ask(scene, CLIENTS[family][:1] * 1500, VIP[family]))
    assert 730 < len(met) < 825  # 1000 * (1 - exp(-1.5)) = 777, with a deviation of 11
    assert max(met.values()) <= 12
    scene.load(state([endpoint(n) for n in range(999)]))
    gone = endpoint(999)
    later = ask(scene, CLIENTS[family][:1] * 300, VIP[family])
    assert not {gone.ipv4, gone.ipv6} & set(later)


@pytest.mark.parametrize("family", VIP)
def test_a_hashed_client_keeps_its_endpoint_when_others_go(scene: Stage, family: str) -> None:
    """Of ten endpoints one goes: none of the other clients moves, and 12 % would be too many."""
    ten = [endpoint(n) for n in range(10)]
    scene.load(state(ten, consistent_hash=True))
    before = ask(scene, CLIENTS[family], VIP[family])
    assert before == ask(scene, CLIENTS[family], EXTERNAL[family])
    assert 10 == len(set(before))
    for gone in (0, 7):
        left = ten[:gone] + ten[gone + 1 :]
        scene.load(state(left, consistent_hash=True))
        after = ask(scene, CLIENTS[family], VIP[family])
        lost = {ten[gone].ipv4, ten[gone].ipv6}
        moved = [a for a, b in zip(before, after, strict=True) if a not in lost and a != b]
        assert not lost & set(after)
        assert len(moved) <= 0.12 * len(before)


@pytest.mark.parametrize("family", VIP)
def test_a_hashed_client_gets_what_the_simulator_says(scene: Stage, family: str) -> None:
    """So every node agrees: nothing but the client's address and the endpoints decides."""
    hashed = state([endpoint(n, n % 3) for n in range(9)], consistent_hash=True)
    scene.load(hashed)
    simulator = Simulator(hashed)
    for client, seen in zip(CLIENTS[family], ask(scene, CLIENTS[family], VIP[family]), strict=True):
        (target,) = simulator.run(Packet("TCP", client, VIP[family], 80)).targets
        assert seen == target.address


@pytest.mark.parametrize("family", VIP)
def test_a_client_stays_over_all_addresses_of_the_service_port(scene: Stage, family: str) -> None:
    scene.load(state([endpoint(n) for n in range(8)], affinity_seconds=300))
    clients, node = CLIENTS[family][:60], {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}[family]
    first = ask(scene, clients, VIP[family])
    assert len(set(first)) > 4
    assert first == ask(scene, clients, VIP[family])
    assert first == ask(scene, clients, EXTERNAL[family])
    assert first == ask(scene, clients, node, 30080)


@pytest.mark.parametrize("family", VIP)
def test_affinity_ends_with_its_endpoint_and_others_keep_theirs(scene: Stage, family: str) -> None:
    eight = [endpoint(n) for n in range(8)]
    scene.load(state(eight, affinity_seconds=300))
    clients = CLIENTS[family][:100]
    first = ask(scene, clients, VIP[family])
    scene.load(state(eight[1:], affinity_seconds=300))
    lost = {eight[0].ipv4, eight[0].ipv6}
    second = ask(scene, clients, VIP[family])
    assert not lost & set(second)
    assert [b for a, b in zip(first, second, strict=True) if a not in lost] == [
        a for a in first if a not in lost
    ]
    assert second == ask(scene, clients, VIP[family])
    # It comes back: those that it lost stay where they are now.
    scene.load(state(eight, affinity_seconds=300))
    assert second == ask(scene, clients, VIP[family])


@pytest.mark.slow
def test_affinity_ends_after_its_time_and_each_new_connection_prolongs_it(scene: Stage) -> None:
    scene.load(state([endpoint(n) for n in range(50)], affinity_seconds=2))
    clients = CLIENTS["IPv4"][:40]
    first = ask(scene, clients, VIP["IPv4"])
    for _ in range(3):
        time.sleep(1.1)  # longer than the time altogether
        assert first == ask(scene, clients, VIP["IPv4"])
    time.sleep(2.6)  # the kernel looks for what has ended now and then; a lookup sees it at once
    again = ask(scene, clients, VIP["IPv4"])
    same = sum(a == b for a, b in zip(first, again, strict=True))
    assert same < 10


def test_affinity_survives_a_table_that_is_replaced(scene: Stage) -> None:
    """Another framework (here: of a site with one more timeout) takes over who stays where."""
    kept = state([endpoint(n) for n in range(20)], affinity_seconds=300)
    scene.load(kept)
    for family, address in VIP.items():
        clients = CLIENTS[family][:60]
        first = ask(scene, clients, address)
        timeouts = (300, 777) if family == "IPv4" else (300, 778)
        base = msgspec.structs.replace(kept.base, affinity_timeouts=timeouts)
        scene.load(NodeState(base, kept.services))
        assert first == ask(scene, clients, address)


def test_an_affinity_that_leads_nowhere_is_taken_back_by_the_packet(scene: Stage) -> None:
    """The map is not ours to clean: what it still says of endpoints that are gone does no harm."""
    scene.load(state([endpoint(0)], affinity_seconds=300))
    ask(scene, CLIENTS["IPv4"][:20], VIP["IPv4"])
    scene.load(state([], affinity_seconds=300))
    refused = scene.send([Packet("TCP", c, VIP["IPv4"], 80) for c in CLIENTS["IPv4"][:20]])
    assert {"refused"} == {each.verdict for each in refused}
    scene.load(state([endpoint(1)], affinity_seconds=300))
    assert {endpoint(1).ipv4} == set(ask(scene, CLIENTS["IPv4"][:20], VIP["IPv4"]))
    scene.load(state([endpoint(1), endpoint(2)], affinity_seconds=300))
    assert {endpoint(1).ipv4} == set(ask(scene, CLIENTS["IPv4"][:20], VIP["IPv4"]))


def test_affinity_of_local_and_of_all_endpoints(scene: Stage) -> None:
    """A client of a node port with policy Local is kept on this node; inside, its entry counts too."""
    own = Endpoint("a", "n1", "", "10.244.1.10", "fd00:244:0:1::10", (8080,))
    near = Endpoint("b", "n1", "", "10.244.1.11", "fd00:244:0:1::11", (8080,))
    all_ = [own, near, *(endpoint(n) for n in range(20))]
    scene.load(state(all_, affinity_seconds=300, external_local=True))
    clients = CLIENTS["IPv4"][:40]
    outside = ask(scene, clients, "192.0.2.1", 30080)
    assert {own.ipv4, near.ipv4} == set(outside)
    assert outside == ask(scene, clients, VIP["IPv4"])
    inside = [endpoint(n).ipv4 for n in range(20)]
    others = CLIENTS["IPv4"][100:140]
    assert set(ask(scene, others, VIP["IPv4"])) & set(inside)
    assert {own.ipv4, near.ipv4} == set(ask(scene, others, "192.0.2.1", 30080))


def test_a_refused_change_replaces_everything_once(scene: Stage) -> None:
    """The kernel's own element is in the way of ours: named, then put right as a whole."""
    scene.load(state([endpoint(0)]))
    element = "{ 0x6000 . 0x1 : 10.244.9.9 . 1 }"
    run(scene.node, "nft", "add", "element", "ip", "groundplane-services", "slots", element)
    scene.load(state([endpoint(0), endpoint(1)]))
    found = ask(scene, CLIENTS["IPv4"][:60], VIP["IPv4"])
    assert {endpoint(0).ipv4, endpoint(1).ipv4} == set(found)
    assert 2 == len(within(scene.node, lambda: scene.plane.plane.read(BASE_OF_STAGE))) - _rest(
        scene
    )


def _rest(scene: Stage) -> int:
    """Return how many elements of ours are no slots of IPv4."""
    found = within(scene.node, lambda: scene.plane.plane.read(BASE_OF_STAGE))
    return sum(element[0] != MAPS["IPv4"].slots.code for element in found)


def test_what_is_refused_is_named(scene: Stage) -> None:
    scene.load(state([endpoint(0)]))
    plane = scene.plane.plane
    missing = MAPS["IPv4"].nodes.prefix + bytes([192, 0, 2, 77])
    within(scene.node, lambda: plane.read(BASE_OF_STAGE))
    with pytest.raises(KernelRefused) as error:
        within(scene.node, lambda: plane.write(BASE_OF_STAGE, Delta(delete={missing: b""})))
    assert "to delete { 192.0.2.77 } in ip groundplane nodes: it is not there" in str(error.value)
    scene.plane.forget()
    scene.load(state([endpoint(0)]))


def test_clients_that_are_kept_can_be_read(scene: Stage) -> None:
    scene.load(state([endpoint(0)], affinity_seconds=300))
    ask(scene, CLIENTS["IPv4"][:3], VIP["IPv4"])
    connection = scene.plane.plane._connection  # type: ignore[attr-defined]
    affinity = AFFINITY["IPv4"]
    kept = within(scene.node, lambda: list(connection.kept(affinity, affinity.table)))
    assert {300_000} == {each.timeout for each in kept}
    assert all(0 < each.expires <= 300_000 for each in kept)
