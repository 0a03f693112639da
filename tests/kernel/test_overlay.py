"""Nodes of two segments: what their workloads say to each other goes through tunnels, and only so.

The machine between the nodes drops every packet that has a workload's address on it.
"""

import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.dataplanes.links import Links
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.load import load
from groundplane.project import project
from groundplane.project.node import project_base
from groundplane.site.compiled import Service, Site
from tests.kernel.sending import passing, send
from tests.kernel.spaces import own
from tests.kernel.world import World, ask, ip, run, within, world

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

SITE = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: two-segments}
spec:
  serviceCIDRs: [10.96.0.0/24, "fd00:96::/112"]
  workloadCIDRs:
  - {cidr: 10.244.0.0/16, nodePrefix: 24}
  - {cidr: "fd00:244::/48", nodePrefix: 64}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1}
spec: {addresses: [192.168.77.11, "fd77::11"], segment: a}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n2}
spec:
  addresses: [192.168.77.12, "fd77::12"]
  segment: b
  uplink: {device: uplink, cidrs: [192.168.77.0/24, "fd77::/64"], mtu: 9000}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: here}
spec: {node: n1}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: there, labels: {app: there}}
spec: {node: n2}
---
apiVersion: v1
kind: Service
metadata: {name: there}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: there}
  ports:
  - {name: tcp, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: udp, port: 80, targetPort: 8080, nodePort: 30080, protocol: UDP}
  - {name: told, port: 81, targetPort: 8081, nodePort: 30081}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: of-the-node, labels: {app: of-the-node}}
spec: {node: n2, hostNetwork: true, ports: [{name: web, port: 8090}]}
---
apiVersion: v1
kind: Service
metadata: {name: of-the-node}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: of-the-node}
  ports:
  - {name: tcp, port: 80, targetPort: 8090}
  - {name: udp, port: 80, targetPort: 8090, protocol: UDP}
"""
BETWEEN = """\
table bridge between {
  chain forward {
    type filter hook forward priority 0
    ip saddr 10.244.0.0/16 drop
    ip daddr 10.244.0.0/16 drop
    ip6 saddr fd00:244::/48 drop
    ip6 daddr fd00:244::/48 drop
  }
}
"""
LESS = 1500 - 36  # IP, UDP and VXLAN headers
SAVE_SYN, SAVED_SYN = 27, 28  # tcp(7): TCP_SAVE_SYN, TCP_SAVED_SYN


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    source: Path = tmp_path_factory.mktemp("site")
    (source / "site.yaml").write_text(SITE)
    catalog = load(source)
    assert [] == check(catalog)
    return compile_site(catalog, allocate(catalog, Lock()))


@pytest.fixture(scope="module")
def net(site: Site) -> Iterator[World]:
    with world(site, own("o")) as built:
        load_ = ["ip", "netns", "exec", built.client, "nft", "-f", "-"]
        subprocess.run(load_, input=BETWEEN, text=True, check=True)
        built.serve(built.workload("there"), "there", 8080)
        # A datagram's answer has to come from the address that was asked.
        built.serve(built.node("n2"), "n2", 8090, built.addresses("n2"))
        yield built


def service(site: Site, name: str) -> Service:
    (found,) = (each for each in site.services if each.name == name)
    return found


@pytest.fixture(scope="module")
def there(site: Site) -> Service:
    return service(site, "there")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
class TestByTheService:
    def test_a_workload_is_seen_as_itself(
        self, net: World, there: Service, family: int, protocol: str
    ) -> None:
        own_address = net.addresses("here")[family]
        answer = ask(net.workload("here"), there.cluster_ips[family], 80, protocol)
        assert [f"there {own_address}"] == answer

    def test_a_node_is_seen_by_its_bridge(
        self, net: World, site: Site, there: Service, family: int, protocol: str
    ) -> None:
        bridge = project_base(site, "n1").bridge_addresses[family]
        answer = ask(net.node("n1"), there.cluster_ips[family], 80, protocol)
        assert [f"there {bridge}"] == answer

    def test_a_workload_is_seen_as_its_node_by_one_of_the_nodes_network(
        self, net: World, site: Site, family: int, protocol: str
    ) -> None:
        """A node has no tunnel to another node, and no route back to its workloads."""
        address = service(site, "of-the-node").cluster_ips[family]
        answer = ask(net.workload("here"), address, 80, protocol)
        assert [f"n2 {net.addresses('n1')[family]}"] == answer

    def test_an_outsider_comes_by_the_other_nodes_port(
        self, net: World, there: Service, family: int, protocol: str
    ) -> None:
        (answer,) = ask(net.client, net.addresses("n1")[family], 30080, protocol)
        assert answer.startswith("there ")


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_a_node_speaks_to_a_workload_as_its_bridge(net: World, site: Site, family: int) -> None:
    """By its route, whatever addresses the overlay has: no other is answered through the tunnel."""
    node, bridge = net.node("n1"), project_base(site, "n1").bridge_addresses[family]
    own, other = ((f"{bridge}/32", "10.99.0.1/32"), (f"{bridge}/128", "fd00:99::1/128"))[family]
    nodad = "nodad" if family else ""
    ip(f"-n {node} address add {other} dev groundplane1 {nodad}")
    ip(f"-n {node} address del {own} dev groundplane1")
    try:
        answer = ask(node, net.addresses("there")[family], 8080, "TCP")
        assert [f"there {bridge}"] == answer
    finally:
        ip(f"-n {node} address add {own} dev groundplane1 {nodad}")
        ip(f"-n {node} address del {other} dev groundplane1")


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_workloads_know_what_the_tunnel_costs(net: World, there: Service, family: int) -> None:
    def segment() -> int:
        with socket.create_connection((there.cluster_ips[family], 80), 2) as client:
            return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)

    headers = (20, 40)[family] + 20 + 12  # IP, TCP and its timestamps
    assert LESS - headers == within(net.workload("here"), segment)


def _segment_of(syn: bytes) -> int:
    """Return the segment size that a SYN tells, from its IP header on; Linux tells it first."""
    ip_header = 40 if syn[0] >> 4 == 6 else (syn[0] & 15) * 4
    kind, length, size = struct.unpack_from("!BBH", syn, ip_header + 20)
    assert (2, 4) == (kind, length)
    return int(size)


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
class TestSegmentsOfThoseWhoKnowNoTunnel:
    """The tunnel takes less at n1 than the outsider's link, and than n2 with its jumbo frames."""

    @pytest.fixture
    def ends(self, net: World, family: int) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Return the two ends of a connection by n1's node port: the outsider's, the workload's."""
        target = net.addresses("n1")[family], 30081
        connect = partial(socket.create_connection, target, 2)
        with (
            within(net.workload("there"), self._listen) as listener,
            within(net.client, connect) as client,
            listener.accept()[0] as accepted,
        ):
            yield client, accepted

    def _listen(self) -> socket.socket:
        listener = socket.create_server(("::", 8081), family=socket.AF_INET6, dualstack_ipv6=True)
        listener.setsockopt(socket.IPPROTO_TCP, SAVE_SYN, 1)
        listener.settimeout(2)
        return listener

    def test_the_workload_is_asked_for_what_fits(
        self, ends: tuple[socket.socket, socket.socket], family: int
    ) -> None:
        """The SYN enters the tunnel at n1."""
        syn = ends[1].getsockopt(socket.IPPROTO_TCP, SAVED_SYN, 256)
        assert LESS - (20, 40)[family] - 20 == _segment_of(syn)

    def test_the_outsider_is_asked_for_what_fits(
        self, ends: tuple[socket.socket, socket.socket], family: int
    ) -> None:
        """The answer to the SYN leaves the tunnel at n1, and n2 knows no smaller one than its own."""
        segment = ends[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        assert LESS - (20, 40)[family] - 20 - 12 == segment  # less TCP's timestamps


def _insert(netns: str, rule: str) -> None:
    run(netns, "nft", f"insert rule inet filter {rule} accept")


@pytest.fixture
def _filtered(net: World) -> Iterator[None]:
    """Have a filter on both nodes that takes all of services but their tunnels."""
    nodes = [net.node("n1"), net.node("n2")]
    try:
        for node in nodes:
            run(node, "nft", "-f", str(Path(__file__).with_name("rulesets") / "strict.nft"))
            for what in ("ct status dnat", "iifname groundplane0", "oifname groundplane0"):
                _insert(node, f"forward {what}")
        yield
    finally:
        for node in nodes:
            run(node, "nft", "table inet filter; delete table inet filter")


@pytest.mark.usefixtures("_filtered")
def test_tunnels_pass_a_filter_by_the_rule_that_the_page_says(net: World, there: Service) -> None:
    """Into each of the two nodes: that what is established passes does not let an answer in."""

    def answers() -> set[str]:
        return {
            ask(place, address, port, "TCP", patience=0.3)[0].partition(" ")[0]
            for family in (0, 1)
            for place, address, port in (
                (net.workload("here"), there.cluster_ips[family], 80),
                (net.node("n1"), there.cluster_ips[family], 80),
                (net.client, net.addresses("n1")[family], 30080),
            )
        }

    _insert(net.node("n2"), "input udp dport 4790")
    assert {"dropped"} == answers()
    _insert(net.node("n1"), "input udp dport 4790")
    assert {"there"} == answers()


def test_nothing_passes_without_the_tunnel(net: World, site: Site, there: Service) -> None:
    """What this file proves rests on it. The route that is put back is the tunnel's."""
    node = net.node("n1")
    (subnet,) = [s for n in site.nodes if n.name == "n2" for s in n.subnets if "." in s]
    run(node, "ip", "route", "replace", subnet, "via", "192.168.77.12", "proto", "71")
    answers = ask(net.workload("here"), there.cluster_ips[0], 80, "TCP", patience=0.5)
    assert ["dropped"] == answers

    def repair() -> int:
        with closing(Links()) as plane:
            return len(Reconciler(plane).apply(project(site, "n1", frozenset())))

    assert 1 == within(node, repair)
    assert 0 == within(node, repair)
    (answer,) = ask(net.workload("here"), there.cluster_ips[0], 80, "TCP")
    assert answer.startswith("there ")


def _tunnelled(source: str, destination: str, port: int, payload: bytes) -> bytes:
    """Return a datagram in VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): flags I and P, then IPv4."""
    udp = struct.pack("!HHHH", 4000, port, 8 + len(payload), 0) + payload
    head = struct.pack(
        "!BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0),
        *(socket.inet_aton(source), socket.inet_aton(destination)),
    )
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    return struct.pack("!BBBBI", 0x0C, 0, 0, 1, 7071 << 8) + head + udp


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("place", "expected"), [("n1", [b"hello"]), ("near", []), ("far", [])])
def test_nobody_but_a_node_speaks_in_tunnels(
    net: World, place: str, expected: list[bytes], family: int
) -> None:
    """By the address that nodes tunnel to, and by the other one: the link takes both."""
    target, source = net.addresses("there")[0], net.addresses("here")[0]
    with within(net.workload("there"), partial(socket.socket, type=socket.SOCK_DGRAM)) as heard:
        heard.bind((target, 9999))
        heard.settimeout(0.5)
        packet = _tunnelled(source, target, 9999, b"hello")
        outer = (socket.AF_INET, socket.AF_INET6)[family]
        with within(net.place(place), partial(socket.socket, outer, socket.SOCK_DGRAM)) as speaker:
            speaker.sendto(packet, (net.addresses("n2")[family], 4790))
        found = []
        with suppress(TimeoutError):
            found.append(heard.recv(100))
        assert expected == found


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_who_is_behind_a_tunnel_does_not_come_by_the_nodes_link(net: World, family: int) -> None:
    """Nor does the other node's bridge, which is how a node of another segment appears."""
    here, there = (
        next(each.addresses[family] for each in net.site.workloads if each.name == name)
        for name in ("here", "there")
    )
    for source in (there, project_base(net.site, "n2").bridge_addresses[family]):
        with passing(net, source) as counted:
            send(net.client, source, here, 9)
        assert [0] == counted
    with passing(net, there) as counted:
        send(net.workload("there"), there, here, 9)
    assert [1] == counted
