"""IPVS by direct routing and by tunnels: who answers whom, and which way.

Needs root, and a kernel with IPVS (tests/vms/test_ipvs.py).

    near ── lan ──┬── n1 ── groundplane0 ──┬── a
    far ────┘     │                        └── b
                  ├── n2 ── groundplane0 ───── c
                  └── host, which is not a node
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import pytest
from pyinfra.api.operation import add_op

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.net.address import family_of
from groundplane.net.protocols import Family
from groundplane.node.workload_netns import answer_for
from groundplane.site import compiled
from groundplane_deploys.machine.backend import SYSCTLS
from groundplane_deploys.operations import tunnels
from groundplane_deploys.plan.dsr import direct_return
from tests.deploys.runs import run as deploy
from tests.kernel.echo import connect, echo, lives
from tests.kernel.ipvs import need_ipvs
from tests.kernel.spaces import own
from tests.kernel.world import World, ask, ip, run, sysctl, within, world

pytestmark = pytest.mark.kernel

SITE: Final = Path(__file__).parents[1] / "conformance/site.yaml"
SERVICES: Final = """\
---
apiVersion: v1
kind: Service
metadata: {name: tunnelled, annotations: {groundplane/ipvs-forwarding: tunnel}}
spec:
  ipFamilyPolicy: RequireDualStack
  externalIPs: [203.0.113.40, "2001:db8:113::40"]
  selector: {forwarded: "yes"}
  ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}, {name: echo, port: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: direct, annotations: {groundplane/ipvs-forwarding: direct}}
spec:
  ipFamilyPolicy: RequireDualStack
  externalIPs: [203.0.113.41, "2001:db8:113::41"]
  ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}, {name: echo, port: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: outside, annotations: {groundplane/ipvs-forwarding: tunnel}}
spec:
  ipFamilyPolicy: RequireDualStack
  externalIPs: [203.0.113.42, "2001:db8:113::42"]
  ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-4, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
endpoints: [{addresses: [192.168.77.50]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-6, labels: {kubernetes.io/service-name: outside}}
addressType: IPv6
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
endpoints: [{addresses: ["fd77::50"]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: direct-4, labels: {kubernetes.io/service-name: direct}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}, {name: echo, port: 9000}]
endpoints: [{addresses: [192.168.77.50]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: direct-6, labels: {kubernetes.io/service-name: direct}}
addressType: IPv6
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}, {name: echo, port: 9000}]
endpoints: [{addresses: ["fd77::50"]}]
"""
FAMILIES: Final[tuple[Family, ...]] = ("IPv4", "IPv6")
CLIENTS: Final = ("near", "far", "n1", "n2", "a", "b", "c")


@pytest.fixture(scope="module")
def forwarded(tmp_path_factory: pytest.TempPathFactory) -> compiled.Site:
    source = tmp_path_factory.mktemp("forwarded")
    base = "---\n".join(
        each
        for each in SITE.read_text().split("---\n")
        if any(f"kind: {kind}\n" in each for kind in ("Cluster", "Node", "Workload"))
    )
    base = base.replace("spec:\n", "spec:\n  proxyMode: ipvs\n", 1)
    for name in ("a", "c"):
        base = base.replace(f"one: {name}}}", f"one: {name}, forwarded: 'yes'}}")
    (source / "site.yaml").write_text(base + SERVICES)
    catalog = load(source)
    assert [] == check(catalog)
    return compile_site(catalog, allocate(catalog, Lock()))


@pytest.fixture(scope="module")
def net(forwarded: compiled.Site) -> Iterator[World]:
    need_ipvs()
    for module in ("ipip", "ip6_tunnel"):
        subprocess.run(["modprobe", module], check=True)
    with world(forwarded, own("f")) as built, contextlib.ExitStack() as echoes:
        for name in ("a", "c"):
            echoes.enter_context(echo(built.workload(name), 9000))
            answer_for(built.workload(name), addresses(forwarded, "tunnelled"))
            # A datagram's answer has to come from the address that was asked.
            built.serve(built.workload(name), name, 8080, addresses(forwarded, "tunnelled"))
        host = host_of(built, forwarded)
        both = addresses(forwarded, "direct") + addresses(forwarded, "outside")
        built.serve(host, "host", 8080, both)
        echoes.enter_context(echo(host, 9000))
        yield built


def host_of(net: World, site: compiled.Site) -> str:
    """Make the host as its deploy does, and return its namespace."""
    name = f"{net.prefix}-host"
    ip(f"netns add {name}")
    # What a careful owner has said before.
    sysctl(name, net__ipv4__conf__all__rp_filter=1, net__ipv4__conf__default__rp_filter=1)
    sysctl(name, net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__all__accept_dad=0)
    ip(
        f"-n {net.client} link add host type veth peer name eth0 netns {name}",
        f"-n {net.client} link set host master lan up",
        f"-n {name} link set eth0 up",
        f"-n {name} link set lo up",
        f"-n {name} address add 192.168.77.50/24 dev eth0",
        f"-n {name} address add fd77::50/64 dev eth0 nodad",
    )
    sysctl(name, **{key.replace(".", "__"): value for key, value in SYSCTLS.items()})
    script = direct_return(site, {"eth0": ["192.168.77.50/24", "fd77::50/64"]}).script
    run(name, "sh", "-c", script)
    return name


def addresses(site: compiled.Site, name: str) -> tuple[str, ...]:
    """Return the cluster IPs of the service *name*, then its external ones."""
    service = next(each for each in site.services if each.name == name)
    return service.cluster_ips + service.external_ips


def asked(net: World, client: str, name: str, family: str, protocol: str) -> set[str]:
    """Return what *client* is answered, at the cluster IP and at the external one."""
    return {
        answer
        for address in addresses(net.site, name)
        if family_of(address) == family
        for answer in ask(net.place(client), address, 8080, protocol, times=4)
    }


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("name", "endpoints"), [("tunnelled", {"a", "c"}), ("direct", {"host"})])
def test_the_endpoint_sees_the_client_and_answers_it(
    net: World, name: str, endpoints: set[str], client: str, family: Family, protocol: str
) -> None:
    if name == "tunnelled" and client in endpoints:
        endpoints = {client}  # it has the address itself
    seen = asked(net, client, name, family, protocol)
    assert endpoints == {answer.split()[0] for answer in seen}, seen
    if client not in endpoints:
        known = {each for each in net.addresses(client) if family_of(each) == family}
        assert known == {answer.split()[1] for answer in seen}


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", ["near", "n1", "b"])
def test_a_host_that_is_no_node_takes_tunnels_too(
    net: World, client: str, family: Family, protocol: str
) -> None:
    seen = asked(net, client, "outside", family, protocol)
    known = {each for each in net.addresses(client) if family_of(each) == family}
    assert {("host", each) for each in known} == {tuple(answer.split()[:2]) for answer in seen}


def test_the_link_is_not_told_that_the_host_has_the_address(net: World) -> None:
    """Two hosts on it would quarrel, and a client there would pass by IPVS."""
    for name in ("direct", "outside"):
        address = of(net, name, "IPv4")
        sent = f"-n {net.client} route replace {address}/32 dev lan"
        ip(sent)
        try:
            assert ["dropped"] == ask(net.place("near"), address, 8080, "TCP", patience=1.0)
        finally:
            ip(sent.replace("replace", "delete"))


WAYS: Final = [(name, family) for name in ("tunnelled", "direct") for family in FAMILIES]
FAR: Final = frozenset({("default", "a")})  # without it, the endpoint is that behind n2


def of(net: World, name: str, family: Family) -> str:
    return next(each for each in addresses(net.site, name) if family_of(each) == family)


@pytest.mark.parametrize(("name", "family"), WAYS)
def test_no_answer_passes_the_node_that_balances(net: World, name: str, family: Family) -> None:
    """Requests do, each of them, and are not tracked there."""
    net.apply(FAR)
    node, address = net.node("n1"), of(net, name, family)
    ip_ = "ip" if family == "IPv4" else "ip6"
    run(node, "nft", f"""table {ip_} watch {{
      counter requests {{ }}
      counter answers {{ }}
      chain in {{
        type filter hook prerouting priority 0
        {ip_} daddr {address} ct state untracked counter name requests
        {ip_} saddr {address} counter name answers
      }}
    }}""")  # fmt: skip
    try:
        with connect(net.place("near"), address, 9000) as connection:
            for _ in range(5):
                assert lives(connection)
        shown = run(node, "nft", "list", "counters", "table", ip_, "watch")
    finally:
        run(node, "nft", "delete", "table", ip_, "watch")
        net.apply()
    requests, answers = (
        int(part.split("packets ")[1].split()[0]) for part in shown.split("counter ")[1:]
    )
    assert requests >= 7
    assert 0 == answers


@pytest.mark.parametrize(("name", "family"), WAYS)
def test_much_passes_in_either_direction(net: World, name: str, family: Family) -> None:
    """Also what does not fit into a tunnel's packet."""
    net.apply(FAR)
    sent = bytes(range(256)) * 400
    try:
        with connect(net.place("near"), of(net, name, family), 9000) as connection:
            connection.settimeout(10)
            for start in range(0, len(sent), 20000):
                piece, got = sent[start : start + 20000], b""
                connection.sendall(piece)
                while len(got) < len(piece):
                    got += connection.recv(65536)
                assert piece == got
    finally:
        net.apply()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_endpoint_that_leaves_keeps_what_it_has(net: World, family: Family) -> None:
    address = of(net, "tunnelled", family)
    with contextlib.ExitStack() as kept:
        held = [kept.enter_context(connect(net.place("near"), address, 9000)) for _ in range(4)]
        net.apply(FAR)
        try:
            assert all(map(lives, held))
            assert {"c"} == {
                answer.split()[0]
                for answer in ask(net.place("near"), address, 8080, "TCP", times=4)
            }
        finally:
            net.apply()


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", ["near", "b", "n1"])
def test_without_an_endpoint_it_is_refused(
    net: World, client: str, family: Family, protocol: str
) -> None:
    net.apply(frozenset({("default", "a"), ("default", "c")}))
    try:
        answers = ask(net.place(client), of(net, "tunnelled", family), 8080, protocol)
    finally:
        net.apply()
    assert ["refused"] == answers


@pytest.mark.parametrize("family", FAMILIES)
def test_no_other_workload_sends_from_the_services_address(net: World, family: Family) -> None:
    """The guard of the bridge knows who has it."""
    address = of(net, "tunnelled", family)
    length, extra = ("32", "") if family == "IPv4" else ("128", " nodad")
    client = next(each for each in net.addresses("near") if family_of(each) == family)

    def heard(sender: str) -> bool:
        with listening(net.client, client) as receiver:
            within(net.workload(sender), partial(send, address, (client, 7777)))
            receiver.settimeout(1)
            with contextlib.suppress(TimeoutError):
                return bool(receiver.recvfrom(10)[1][0] == address)
            return False

    assert heard("a")
    ip(f"-n {net.workload('b')} address add {address}/{length} dev lo{extra}")
    try:
        assert not heard("b")
    finally:
        ip(f"-n {net.workload('b')} address del {address}/{length} dev lo")


def listening(netns: str, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = within(netns, partial(socket.socket, family, socket.SOCK_DGRAM))
    opened.bind((address, 7777))
    return opened


def send(source: str, target: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.bind((source, 0))
        opened.sendto(b"?", target)


def test_a_workload_forgets_what_comes_to_it_no_more(net: World) -> None:
    kept = addresses(net.site, "tunnelled")
    netns = net.workload("a")
    try:
        answer_for(netns, kept[:1])
        shown = run(netns, "ip", "-br", "address")
        assert kept[0] in shown
        assert [] == [each for each in kept[1:] if f"{each}/" in shown]
        answer_for(netns, ())
        assert "tunl0@NONE       DOWN" in run(netns, "ip", "-br", "address")
    finally:
        answer_for(netns, kept)


def test_the_deploy_gives_workloads_that_run_what_they_answer_by(
    net: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    netns, kept = net.workload("a"), addresses(net.site, "tunnelled")
    wanted = {netns: kept, "one-that-is-not-there": kept}

    def changes() -> int:
        state = deploy(["@local"], {}, lambda s: add_op(s, tunnels.answered, wanted=wanted))
        ((results, prepared),) = zip(state.results.values(), state.meta.values(), strict=True)
        assert 0 == results.error_ops
        return int(prepared.ops_change)

    answer_for(netns, kept[:1])
    try:
        assert 1 == changes()
        shown = run(netns, "ip", "-br", "address")
        assert [] == [each for each in kept if f"{each}/" not in shown]
        assert 0 == changes()
    finally:
        answer_for(netns, kept)


@pytest.mark.parametrize("family", FAMILIES)
def test_cluster_ips_are_kept_from_outside_where_the_site_says_so(
    net: World, family: Family
) -> None:
    before = net.site
    inside, outside = (each for each in addresses(before, "tunnelled") if family_of(each) == family)
    net.site = msgspec.structs.replace(before, cluster_ips_from_outside=False)
    net.apply()
    try:
        assert ["dropped"] == ask(net.place("near"), inside, 8080, "TCP", patience=1.0)
        for client, address in (("near", outside), ("b", inside), ("n1", inside)):
            (answer,) = ask(net.place(client), address, 8080, "TCP")
            assert answer.split()[0] in ("a", "c"), client
    finally:
        net.site = before
        net.apply()
