"""Clients whose entry leads to an endpoint that went, through the planes that the agent brings."""

import os
import select
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import msgspec
import pytest

from groundplane.dataplanes.conntrack import StaleFlows
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.net.protocols import Protocol
from groundplane.project import NodeState, VirtualService, project_service
from groundplane.project.select_endpoints import Place
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from tests.kernel.stage import BASE_OF_STAGE, Stage, stage
from tests.kernel.world import run, within

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

FIRST = Endpoint("one", "n2", "", "10.244.2.10", "fd00:244:0:2::10", (8080,))
SECOND = Endpoint("two", "n3", "", "10.244.3.10", "fd00:244:0:3::10", (8080,))
LEAVING = FIRST._replace(ready=False, terminating=True)
BASE = msgspec.structs.replace(
    BASE_OF_STAGE, external_cidrs=("203.0.113.0/28", "2001:db8:113::/64")
)
# What another program translates.
OTHERS = """table ip other {{
  chain to {{ type nat hook prerouting priority -90; {match} dnat to 198.51.100.9:8080; }}
  chain from {{ type nat hook postrouting priority 90; ip daddr 198.51.100.9 masquerade; }}
}}"""
# who sends, and to which address and port of the service
WAYS = [
    ("a", "10.96.0.5", 80),
    ("a", "fd00:96::5", 80),
    ("node", "10.96.0.5", 80),
    ("node", "fd00:96::5", 80),
    ("world", "203.0.113.5", 80),
    ("world", "2001:db8:113::5", 80),
    ("world", "192.0.2.1", 30080),
    ("world", "2001:db8::1", 30080),
]


class Scene:
    """The stage with the two planes, and one open socket for each of WAYS."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        self.flows = Reconciler(within(on.node, StaleFlows))
        self.clients: dict[tuple[str, str, int], socket.socket] = {}

    def load(self, *services: compiled.Service) -> None:
        made = [projected(each) for each in services]
        state = NodeState.of(BASE, made)
        self.on.load(state)
        within(self.on.node, lambda: self.flows.apply(state))

    def open(self, kind: int = socket.SOCK_DGRAM) -> None:
        for place, address, port in WAYS:
            netns = {"node": self.on.node, "world": self.on.world} | self.on.workloads
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            opened = within(netns[place], partial(socket.socket, family, kind))
            opened.settimeout(0.4)
            opened.connect((address, port))
            self.clients[place, address, port] = opened

    def ask(self) -> list[str]:
        """Return who answers each client now, through the socket it has had all the time."""
        return [_ask(each) for each in self.clients.values()]

    def close(self) -> None:
        for each in self.clients.values():
            each.close()
        self.clients.clear()


def _ask(client: socket.socket) -> str:
    """Return the address that answers a datagram, or how it fails."""
    client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # what an earlier datagram was told
    try:
        client.send(b"?")
        return client.recv(256).decode().split()[0]
    except (ConnectionRefusedError, PermissionError):
        return "refused"
    except TimeoutError:
        return "dropped"


@pytest.fixture(scope="module")
def built() -> Iterator[Stage]:
    with stage() as on:
        yield on


@pytest.fixture
def scene(built: Stage) -> Iterator[Scene]:
    made = Scene(built)
    with ExitStack() as stack:
        stack.callback(made.flows.plane.close)
        stack.callback(made.close)
        made.load()
        yield made


def service(
    *endpoints: Endpoint, protocol: Protocol = "UDP", name: str = "dns"
) -> compiled.Service:
    return compiled.Service(
        "default",
        name,
        ("IPv4", "IPv6"),
        ("10.96.0.5", "fd00:96::5"),
        (Port("dns", protocol, 80, 6, 30080),),
        columns(endpoints),
        external_ips=("203.0.113.5", "2001:db8:113::5"),
    )


def projected(each: compiled.Service) -> VirtualService:
    return project_service(each, Place("n1", ""), frozenset())


def reached(seen: Sequence[str], endpoint: Endpoint) -> bool:
    return {endpoint.ipv4, endpoint.ipv6} == set(seen)


def test_they_move_when_their_endpoint_goes(scene: Scene) -> None:
    scene.load(service(FIRST))
    scene.open()
    assert reached(scene.ask(), FIRST)
    scene.load(service(SECOND))
    assert reached(scene.ask(), SECOND)


def test_they_are_refused_when_the_last_endpoint_goes_and_served_when_one_comes(
    scene: Scene,
) -> None:
    scene.load(service(FIRST))
    scene.open()
    scene.ask()
    scene.load(service())
    assert {"refused"} == set(scene.ask())
    scene.load(service(SECOND))
    assert reached(scene.ask(), SECOND)


def test_they_reach_nobody_when_the_service_goes_and_the_new_one_when_it_is_made_again(
    scene: Scene,
) -> None:
    scene.load(service(FIRST))
    scene.open()
    scene.ask()
    scene.load()
    assert not {FIRST.ipv4, FIRST.ipv6} & set(scene.ask())
    scene.load(service(SECOND, name="other"))
    assert reached(scene.ask(), SECOND)


def test_they_stay_with_a_draining_endpoint_and_with_a_live_one(scene: Scene) -> None:
    scene.load(service(FIRST))
    scene.open()
    scene.ask()
    scene.load(service(LEAVING, SECOND))
    assert reached(scene.ask(), FIRST)
    scene.load(service(LEAVING, SECOND, FIRST._replace(ipv4="10.244.2.11", ipv6="")))
    assert reached(scene.ask(), FIRST)
    scene.load(service(SECOND))
    assert reached(scene.ask(), SECOND)


def test_a_restarted_agent_finds_what_went_while_it_was_down(scene: Scene) -> None:
    """It begins with the site that it had: with what had external addresses then."""
    scene.load(service(FIRST))
    scene.open()
    scene.ask()
    before, after = NodeState.of(BASE, [projected(service(FIRST))]), NodeState.of(BASE, ())
    scene.on.load(after)  # the rules alone, as if it had ended here
    again = within(scene.on.node, StaleFlows)
    with closing(again):
        reconciler = Reconciler(again)
        within(scene.on.node, lambda: reconciler.apply(before))
        within(scene.on.node, lambda: reconciler.apply(after))
        assert not {FIRST.ipv4, FIRST.ipv6} & set(scene.ask())


def test_what_a_packet_made_while_rules_changed_is_found_by_the_next_look(scene: Scene) -> None:
    """A connection is translated by the old rules and entered after the table was read."""
    scene.load(service(FIRST))
    scene.open()
    scene.ask()
    second = projected(service(SECOND))
    scene.on.load(NodeState.of(BASE, [second]))
    state = NodeState.of(BASE, [second])
    assert not within(scene.on.node, scene.flows.drift)  # all is as it was expected
    within(scene.on.node, lambda: scene.flows.apply(state))
    scene.ask()
    assert not within(scene.on.node, scene.flows.drift)


def test_tcp_goes_on(scene: Scene) -> None:
    scene.load(service(FIRST, protocol="TCP"))
    peers = within(scene.on.world, partial(socket.create_server, ("10.244.2.10", 8099)))
    with closing(peers):
        moved = service(FIRST._replace(targets=(8099,)), protocol="TCP")
        scene.load(moved)
        client = within(
            scene.on.workloads["a"], partial(socket.create_connection, ("10.96.0.5", 80), 1)
        )
        with closing(client):
            server, _ = peers.accept()
            with closing(server):
                scene.load(service(SECOND, protocol="TCP"))
                scene.load()
                client.send(b"still")
                assert b"still" == server.recv(16)
                server.send(b"here")
                assert b"here" == client.recv(16)


@contextmanager
def silent(scene: Scene, endpoint: Endpoint) -> Iterator[None]:
    """Let nothing that is sent to *endpoint* arrive, as where its node's link is cut."""
    nft = ["ip", "netns", "exec", scene.on.world, "nft"]
    rules = f"""table inet silent {{
      chain c {{ type filter hook prerouting priority -300;
        ip daddr {endpoint.ipv4} drop; ip6 daddr {endpoint.ipv6} drop; }}
    }}"""
    subprocess.run([*nft, rules], check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "silent"], check=True)


def begun(scene: Scene, place: str, address: str, port: int, source: int = 0) -> socket.socket:
    """Return a connection that waits for its first answer."""
    netns = {"node": scene.on.node, "world": scene.on.world} | scene.on.workloads
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = within(netns[place], partial(socket.socket, family, socket.SOCK_STREAM))
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if source:
        opened.bind(("", source))
    opened.connect_ex((address, port))
    return opened


def answered(connection: socket.socket, seconds: float = 4.0) -> str:
    """Return who answers *connection*, "" when nobody does: its second SYN comes after a second."""
    if not select.select([connection], [], [], seconds)[0]:
        return ""
    try:
        return connection.recv(256).decode().split()[0]
    except OSError as error:
        return os.strerror(error.errno or 0)


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_nobody_answers_moves_when_its_endpoint_goes(
    scene: Scene, way: tuple[str, str, int]
) -> None:
    with silent(scene, FIRST):
        scene.load(service(FIRST, protocol="TCP"))
        with closing(begun(scene, *way)) as connection:
            scene.load(service(SECOND, protocol="TCP"))
            assert answered(connection) in (SECOND.ipv4, SECOND.ipv6)


def test_a_port_that_is_used_again_does_not_lead_to_the_endpoint_that_went(scene: Scene) -> None:
    way = ("a", "10.96.0.5", 80, 45454)
    with silent(scene, FIRST):
        scene.load(service(FIRST, protocol="TCP"))
        begun(scene, *way).close()
        scene.load(service(SECOND, protocol="TCP"))
        with closing(begun(scene, *way)) as connection:
            assert SECOND.ipv4 == answered(connection, 0.5)


@pytest.mark.parametrize("address", ["203.0.113.5", "2001:db8:113::5"])
def test_a_client_that_asked_before_the_service_was_there_is_answered(
    scene: Scene, address: str
) -> None:
    """What it sent went out of the node, and nobody answered."""
    outside = FIRST._replace(ipv4="203.0.113.5", ipv6="2001:db8:113::5")
    with silent(scene, outside), closing(begun(scene, "a", address, 80)) as connection:
        scene.load(service(FIRST, protocol="TCP"))
        assert answered(connection) in (FIRST.ipv4, FIRST.ipv6)


@pytest.mark.parametrize(
    ("match", "asked"),
    [
        # An external address that no service has.
        ("ip daddr 203.0.113.9 udp dport 80", ("203.0.113.9", 80)),
        # A port in the range of node ports that leads to no workload.
        ("udp dport 30099", ("192.0.2.1", 30099)),
    ],
)
def test_what_other_programs_translate_is_left_alone(
    scene: Scene, match: str, asked: tuple[str, int]
) -> None:
    nft = ["ip", "netns", "exec", scene.on.node, "nft"]
    subprocess.run([*nft, OTHERS.format(match=match)], check=True)
    try:
        scene.load(service(FIRST))
        client = within(scene.on.world, partial(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
        with closing(client):
            client.settimeout(0.4)
            client.connect(asked)
            assert "198.51.100.9" == _ask(client)
            subprocess.run([*nft, "flush", "table", "ip", "other"], check=True)
            scene.load()
            assert not within(scene.on.node, scene.flows.drift)
            assert "198.51.100.9" == _ask(client)
    finally:
        subprocess.run([*nft, "delete", "table", "ip", "other"], check=True)


def test_an_association_of_sctp_leaves_with_its_endpoint(scene: Scene) -> None:
    """This kernel has no such sockets: conntrack(8) makes the entry that one would have made."""
    scene.load(service(FIRST, protocol="SCTP"))
    made = (
        *("conntrack", "-I", "-p", "sctp", "--state", "ESTABLISHED", "--timeout", "600"),
        *("--orig-src", "10.244.1.10", "--orig-dst", "10.96.0.5", "--orig-port-src", "4000"),
        *("--orig-port-dst", "80", "--reply-src", FIRST.ipv4, "--reply-dst", "10.244.1.10"),
        *("--reply-port-src", "8080", "--reply-port-dst", "4000"),
        *("--orig-vtag", "1", "--reply-vtag", "2", "--status", "SEEN_REPLY,ASSURED"),
    )
    run(scene.on.node, *made)
    listing = partial(run, scene.on.node, "conntrack", "-L", "-p", "sctp")
    assert "dst=10.96.0.5" in listing()
    scene.load(service(FIRST, protocol="SCTP"))
    assert not within(scene.on.node, scene.flows.drift)
    scene.load(service(LEAVING, protocol="SCTP"))
    assert "dst=10.96.0.5" in listing()
    scene.load(service(SECOND, protocol="SCTP"))
    assert "dst=10.96.0.5" not in listing()
