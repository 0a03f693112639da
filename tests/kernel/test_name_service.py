"""The site's name service on two nodes: whom it answers, whom not, and who may change it."""

import ipaddress
import signal
import socket
import struct
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.project import project
from groundplane.site import compiled
from tests.kernel.named import OTHER, SECRET, Server
from tests.kernel.spaces import own
from tests.kernel.world import World, ip, within, world

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

SITE = """
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: names}
spec:
  serviceCIDRs: [10.96.0.0/24, "fd00:96::/112"]
  workloadCIDRs:
  - {cidr: 10.244.0.0/16, nodePrefix: 24}
  - {cidr: "fd00:244::/48", nodePrefix: 64}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1}
spec: {addresses: [192.168.77.11, "fd77::11"], workloadSubnets: [10.244.1.0/24, "fd00:244:0:1::/64"]}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n2}
spec: {addresses: [192.168.77.12, "fd77::12"], workloadSubnets: [10.244.2.0/24, "fd00:244:0:2::/64"]}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: a}
spec: {node: n1, addresses: [10.244.1.10, "fd00:244:0:1::10"]}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: c}
spec: {node: n2, addresses: [10.244.2.10, "fd00:244:0:2::10"]}
"""
SERVICE = ("10.96.0.10", "fd00:96::a")
BRIDGE = {"n1": ("10.244.1.1", "fd00:244:0:1::1"), "n2": ("10.244.2.1", "fd00:244:0:2::1")}
WHERE = "where.cluster.local"  # what each server has of its own: the name of its node


class Site:
    """Two nodes with a name server each, two workloads, two hosts outside."""

    def __init__(self, net: World, directory: Path) -> None:
        self.net = net
        self.servers: dict[str, Server] = {}
        for node in net.site.nodes:
            state = project(net.site, node.name, frozenset())
            own = directory / node.name
            own.mkdir()
            server = Server(net.node(node.name), own, state.base, port=53)
            self.servers[node.name] = server
            server.apply(state)
            update = dns.update.UpdateMessage("cluster.local", keyring=server.tsig)
            update.add(f"{WHERE}.", 5, "TXT", node.name)
            assert dns.rcode.NOERROR == server.send(update, tcp=True).rcode()

    def asked(self, place: str, address: str, *, tcp: bool = False) -> str:
        """Return which node's server answers *place* at *address*."""
        send, query = dns.query.tcp if tcp else dns.query.udp, dns.message.make_query(WHERE, "TXT")
        answer = within(self.net.place(place), partial(send, query, address, timeout=3))
        return str(answer.answer[0][0]).strip('"') if answer.answer else f"{answer.rcode()}"

    def close(self) -> None:
        for server in self.servers.values():
            server.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    source = tmp_path_factory.mktemp("site")
    (source / "site.yaml").write_text(SITE)
    catalog = load(source)
    assert [] == check(catalog)
    compiled_: compiled.Site = compile_site(catalog, allocate(catalog, Lock()))
    with world(compiled_, own("dns")) as net:
        made = Site(net, tmp_path_factory.mktemp("named"))
        try:
            yield made
        finally:
            made.close()


CLIENTS = [("a", "n1"), ("c", "n2"), ("n1", "n1"), ("n2", "n2")]
transports = pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])


@transports
@pytest.mark.parametrize("address", SERVICE)
@pytest.mark.parametrize(("client", "node"), CLIENTS)
def test_workloads_and_nodes_are_answered_by_the_server_of_their_own_node(
    site: Site, client: str, node: str, address: str, tcp: bool
) -> None:
    assert node == site.asked(client, address, tcp=tcp)


@transports
@pytest.mark.parametrize(("client", "node"), [*product("ac", BRIDGE)])
def test_they_may_ask_any_node_by_its_own_address(
    site: Site, client: str, node: str, tcp: bool
) -> None:
    assert {node} == {site.asked(client, address, tcp=tcp) for address in BRIDGE[node]}


@pytest.mark.parametrize(("client", "node"), [*product(BRIDGE, BRIDGE)])
def test_and_so_may_nodes(site: Site, client: str, node: str) -> None:
    assert {node} == {site.asked(client, address) for address in BRIDGE[node]}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_is_the_nodes_own(site: Site, address: str) -> None:
    assert ["n1", "n2"] == [site.asked(node, address) for node in ("n1", "n2")]


def test_no_other_node_is_needed(site: Site) -> None:
    process, port = site.servers["n2"].process, f"-n {site.net.client} link set n2"
    process.send_signal(signal.SIGSTOP)
    ip(f"{port} down")
    try:
        answers = {
            site.asked(client, address, tcp=tcp)
            for client in ("a", "n1")
            for address in SERVICE
            for tcp in (False, True)
        }
    finally:
        ip(f"{port} up")
        process.send_signal(signal.SIGCONT)
    assert {"n1"} == answers


# ------------------------------------------------------------------------------------------------


class Wire:
    """What comes to a node and what leaves it for *client*, but for how hosts find each other."""

    OUTGOING, DISCOVERY = 4, range(133, 138)

    def __init__(self, netns: str, client: tuple[str, ...]) -> None:
        self._client = {ipaddress.ip_address(each) for each in client}
        self._socket = within(netns, self._open)
        self.came: set[tuple[str, int]] = set()
        self.left: list[str] = []

    @staticmethod
    def _open() -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        opened.bind(("uplink", 3))
        return opened

    def look(self, seconds: float) -> bool:
        """Read the next packet; return whether there was one in time."""
        self._socket.settimeout(seconds)
        try:
            packet, (_, _, kind, *_) = self._socket.recvfrom(65536)
        except TimeoutError:
            return False
        match packet[0] >> 4:
            case 4:
                protocol, payload = packet[9], packet[(packet[0] & 15) * 4 :]
                addresses = packet[12:16], packet[16:20]
            case 6:
                protocol, payload, addresses = packet[6], packet[40:], (packet[8:24], packet[24:40])
            case _:
                return True
        source, target = map(ipaddress.ip_address, addresses)
        if protocol == socket.IPPROTO_ICMPV6 and payload[0] in self.DISCOVERY:
            return True
        if kind == self.OUTGOING and target in self._client:
            self.left.append(f"{source} {protocol}")
        elif source in self._client and struct.unpack_from("!H", payload, 2)[0] == 53:
            self.came.add((str(target), protocol))
        return True

    def close(self) -> None:
        self._socket.close()


def asking(address: str, protocol: int) -> socket.socket:
    """Ask the server at *address*, and return the socket that may get an answer."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == socket.IPPROTO_TCP else socket.SOCK_DGRAM
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    opened.connect_ex((address, 53))
    if protocol == socket.IPPROTO_UDP:
        opened.send(dns.message.make_query(WHERE, "TXT").to_wire())
    return opened


@pytest.mark.parametrize(("client", "node"), [("near", "n1"), ("far", "n2")])
def test_nobody_outside_gets_any_answer(site: Site, client: str, node: str) -> None:
    """No packet of any kind: no answer, no REFUSED, no reset, no ICMP."""
    wire = Wire(site.net.node(node), site.net.addresses(client))
    ways = set(product((*SERVICE, *BRIDGE[node]), (socket.IPPROTO_TCP, socket.IPPROTO_UDP)))
    sockets = [within(site.net.place(client), partial(asking, *each)) for each in sorted(ways)]
    try:
        until = time.monotonic() + 5
        while wire.came < ways and time.monotonic() < until:
            wire.look(0.1)
        patience = time.monotonic() + 0.5
        while (left := patience - time.monotonic()) > 0:
            wire.look(left)
    finally:
        for each in sockets:
            each.close()
        wire.close()
    assert (ways, []) == (wire.came, wire.left)


# ------------------------------------------------------------------------------------------------

NOBODY = [
    *product(("a", "c", "n1", "n2"), (*BRIDGE["n1"], *SERVICE), (SECRET,)),
    *product(("n1",), ("127.0.0.1", "::1"), (None, OTHER)),
]
NAMES = {SECRET: "the key", OTHER: "a wrong key", None: "no key"}


def tried(place: str, address: str, secret: str | None) -> tuple[str, str]:
    """Return what an update and a transfer from *place* come to."""
    update = dns.update.UpdateMessage("cluster.local")
    update.add("intruder.cluster.local.", 5, "A", "192.0.2.66")
    return sent(place, address, secret, update), sent(
        place, address, secret, dns.message.make_query("cluster.local", "AXFR")
    )


def sent(place: str, address: str, secret: str | None, message: dns.message.Message) -> str:
    if secret:
        message.use_tsig(dns.tsig.Key("groundplane", secret))
    send = partial(dns.query.tcp, message, address, timeout=3)
    try:
        return dns.rcode.to_text(within(place, send).rcode())
    except dns.exception.DNSException as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("client", "address", "secret"), NOBODY, ids=lambda each: str(NAMES.get(each, each))
)
def test_without_loopback_or_the_key_nothing_is_changed_or_transferred(
    site: Site, client: str, address: str, secret: str | None
) -> None:
    codes = tried(site.net.place(client), address, secret)
    expected = "PeerBadSignature" if secret == OTHER else "REFUSED"
    assert (expected, expected) == codes
    for server in site.servers.values():
        assert dns.rcode.NXDOMAIN == server.ask("intruder.cluster.local", "A").rcode()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_with_both_it_is(site: Site, address: str) -> None:
    server = site.servers["n1"]
    try:
        assert ("NOERROR", "NOERROR") == tried(site.net.node("n1"), address, SECRET)
        assert dns.rcode.NOERROR == server.ask("intruder.cluster.local", "A").rcode()
    finally:
        update = dns.update.UpdateMessage("cluster.local", keyring=server.tsig)
        update.delete("intruder.cluster.local.")
        server.send(update, tcp=True)
