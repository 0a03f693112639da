"""The IPVS dataplane and the kernel. Needs root, and a kernel with IPVS (tests/vms/test_ipvs.py)."""

import subprocess
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.net.proxy import Forwarding
from groundplane.project import NodeState
from groundplane.proxies.ipvs.plane import IpvsPlane
from groundplane.proxies.ipvs.render import render
from groundplane.proxies.ipvs.text import rules
from groundplane.site.compiled import Ipvs as Settings
from tests.kernel.ipvs import need_ipvs
from tests.kernel.spaces import based, namespace
from tests.kernel.world import run, sysctl, within
from tests.states import full_states, service, state, states

pytestmark = pytest.mark.kernel

BASE = based(proxy_mode="ipvs", ipvs=Settings("rr", 600))
ONE, OTHER = "10.244.1.10:80", "10.244.1.11:80"
SYSCTLS = {"net__ipv4__vs__conntrack": 1, "net__ipv4__vs__expire_nodest_conn": 1}


@pytest.fixture(scope="module", autouse=True)
def _needs_ipvs() -> None:
    need_ipvs()


class Node:
    """A namespace, and the dataplane in it, whose clock stands still."""

    def __init__(self, netns: str) -> None:
        self.netns, self.now = netns, 0.0
        self.plane = IpvsPlane(lambda: self.now)
        self.reconciler = Reconciler(self.plane)

    def close(self) -> None:
        self.plane.close()

    def apply(self, wanted: NodeState) -> int:
        return len(within(self.netns, partial(self.reconciler.apply, wanted)))

    def collect(self) -> None:
        within(self.netns, self.reconciler.collect)

    def drifted(self) -> bool:
        return within(self.netns, self.reconciler.drift) is not None

    def restarted(self, wanted: NodeState) -> int:
        """Return how much a freshly started agent changes for *wanted*."""
        again = Node(self.netns)
        try:
            return again.apply(wanted)
        finally:
            again.close()

    def saved(self) -> list[str]:
        return sorted(run(self.netns, "ipvsadm", "--save", "--numeric").splitlines())

    def ipvsadm(self, line: str) -> None:
        run(self.netns, "ipvsadm", *line.split())


@pytest.fixture
def node() -> Iterator[Node]:
    with namespace("ipvs") as netns:
        sysctl(netns, **SYSCTLS)
        made = Node(netns)
        yield made
        made.close()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, str]]:
    """Return a node that a property's examples share, and another namespace."""
    with namespace("ipvs-1") as one, namespace("ipvs-2") as other:
        sysctl(one, **SYSCTLS)
        made = Node(one)
        yield made, other
        made.close()


def ours(drawn: NodeState) -> NodeState:
    base = msgspec.structs.replace(drawn.base, proxy_mode="ipvs", ipvs=BASE.ipvs)
    return NodeState(base, drawn.services, drawn.workloads)


def text(wanted: NodeState) -> str:
    return rules({k: v for part in wanted.parts for k, v in render(wanted.base, part).items()})


def web(*targets: str, protocol: str = "TCP") -> NodeState:
    part = service("web", ["10.96.0.2"], targets, protocol=protocol)  # type: ignore[arg-type]
    return state(part, base=BASE)


_slowly = settings(
    max_examples=8,
    deadline=None,
    # An emulated machine that shares its CPU draws an example in up to four seconds.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_slowly
@given(drawn=full_states())
def test_text_and_netlink_make_the_same(pair: tuple[Node, str], drawn: NodeState) -> None:
    node, other = pair
    wanted = ours(drawn)
    run(node.netns, "ipvsadm", "--clear")
    node.reconciler.forget()
    node.apply(wanted)
    run(other, "ipvsadm", "--clear")
    loaded = ["ip", "netns", "exec", other, "ipvsadm", "--restore"]
    subprocess.run(loaded, input=text(wanted), text=True, check=True)
    restored = sorted(run(other, "ipvsadm", "--save", "--numeric").splitlines())
    assert sorted(text(wanted).splitlines()) == node.saved() == restored


@_slowly
@given(sequence=st.lists(states(), min_size=2, max_size=4))
def test_after_writing_the_difference_it_is_empty(
    pair: tuple[Node, str], sequence: list[NodeState]
) -> None:
    node, _ = pair
    for wanted in map(ours, sequence):
        node.apply(wanted)
        assert not node.drifted()
        node.collect()
        assert 0 == node.restarted(wanted)


def test_a_change_is_made_and_nothing_else(node: Node) -> None:
    assert 3 == node.apply(web(ONE, OTHER))
    assert 0 == node.apply(web(ONE, OTHER))
    assert 1 == node.apply(web(ONE))
    assert 0 == node.restarted(web(ONE))


@pytest.mark.parametrize(
    "by_hand",
    [
        "-D -t 10.96.0.2:80",
        f"-d -t 10.96.0.2:80 -r {ONE}",
        f"-e -t 10.96.0.2:80 -r {ONE} -m -w 7",
        f"-e -t 10.96.0.2:80 -r {ONE} -i -w 1",
        "-E -t 10.96.0.2:80 -s wlc",
        "-E -t 10.96.0.2:80 -s rr -p 60",
        "-a -t 10.96.0.2:80 -r 192.0.2.99:80 -m",
        "-A -t 10.96.0.99:80 -s rr",
        "-C",
    ],
)
def test_what_is_changed_by_hand_is_seen_and_repaired(node: Node, by_hand: str) -> None:
    node.apply(web(ONE, OTHER))
    before = node.saved()
    node.ipvsadm(by_hand)
    assert node.drifted()
    node.apply(web(ONE, OTHER))
    node.collect()
    assert before == node.saved()
    assert not node.drifted()


@pytest.mark.parametrize(
    ("way", "option", "more"), [("direct", "-g", ""), ("tunnel", "-i", " --tun-type ipip")]
)
def test_every_way_is_as_ipvsadm_has_it(
    node: Node, way: Forwarding, option: str, more: str
) -> None:
    """By netlink and as text; it is kept while an endpoint leaves, and another one is drift."""

    def there(*targets: str) -> NodeState:
        part = service("web", ["10.96.0.2", "fd00:96::2"], targets)
        return state(msgspec.structs.replace(part, forwarding=way), base=BASE)

    six = "fd00:244:0:1::10:80"
    wanted = there(ONE, OTHER, six)
    node.apply(wanted)
    assert sorted(text(wanted).splitlines()) == node.saved()
    assert f"-a -t 10.96.0.2:80 -r {ONE} {option} -w 1{more}" in node.saved()
    assert not node.drifted()
    assert 0 == node.restarted(wanted)
    node.apply(there(ONE, six))
    assert f"-a -t 10.96.0.2:80 -r {OTHER} {option} -w 0{more}" in node.saved()
    node.ipvsadm(f"-e -t 10.96.0.2:80 -r {ONE} -m -w 1")
    assert node.drifted()
    node.apply(web(ONE))
    assert f"-a -t 10.96.0.2:80 -r {ONE} -m -w 1" in node.saved()


def test_servers_of_others_are_left_alone(node: Node) -> None:
    """By an address, a port or a mark that the site has not."""
    theirs = ["-A -t 192.0.2.1:80 -s rr", "-A -u 172.16.0.1:53 -s wlc", "-A -f 7 -s rr"]
    for line in theirs:
        node.ipvsadm(line)
    node.apply(web(ONE))
    node.apply(state(base=BASE))
    node.collect()
    assert sorted(theirs) == node.saved()


def test_in_the_other_mode_servers_of_others_are_left_alone_wherever_they_are(node: Node) -> None:
    """Where nothing of ours leads to IPVS, nothing there is ours."""
    theirs = ["-A -t 10.96.0.2:80 -s rr", "-A -t 192.0.2.1:30000 -s rr"]
    for line in theirs:
        node.ipvsadm(line)
    node.apply(state(base=based()))
    node.collect()
    node.now += 10000
    node.collect()
    assert sorted(theirs) == node.saved()


def test_what_falls_out_of_the_ranges_leaves(node: Node) -> None:
    node.apply(web(ONE, protocol="UDP"))
    moved = msgspec.structs.replace(BASE, service_cidrs=("10.97.0.0/24", "fd00:97::/112"))
    node.apply(state(service("web", ["10.97.0.2"], [ONE]), base=moved))
    node.collect()
    assert ["-A -t 10.97.0.2:80 -s rr", f"-a -t 10.97.0.2:80 -r {ONE} -m -w 1"] == node.saved()
    assert not node.drifted()


def test_what_is_refused_keeps_nothing_else_from_being_written(node: Node) -> None:
    node.ipvsadm("-A -t 10.96.0.2:80 -s rr")
    parts = [service("a", ["10.96.0.2"], [ONE]), service("b", ["10.96.0.3"], [ONE], pool=4)]
    delta = Delta(create={k: v for part in parts for k, v in render(BASE, part).items()})
    with pytest.raises(KernelRefused, match=r"-A -t 10\.96\.0\.2:80 -s rr`: File exists"):
        within(node.netns, lambda: node.plane.write(BASE, delta))
    assert f"-a -t 10.96.0.3:80 -r {ONE} -m -w 1" in node.saved()


def test_a_scheduler_that_the_kernel_lacks_concerns_its_service_alone(node: Node) -> None:
    bad = service("bad", ["10.96.0.9"], [ONE], pool=8)
    wanted = state(
        service("web", ["10.96.0.2"], [ONE]),
        msgspec.structs.replace(bad, scheduler="nosuch"),
        base=BASE,
    )
    with pytest.raises(ObjectsRefused, match=r"^Service/default/bad: IPVS refused `-A -t 10\.96"):
        node.apply(wanted)
    assert f"-a -t 10.96.0.2:80 -r {ONE} -m -w 1" in node.saved()
    assert "table ip groundplane-ipvs" in run(node.netns, "nft", "list", "tables")


def test_an_endpoint_of_tcp_leaves_when_it_has_no_connection(node: Node) -> None:
    node.apply(web(ONE, OTHER))
    node.apply(web(ONE))
    assert f"-a -t 10.96.0.2:80 -r {OTHER} -m -w 0" in node.saved()
    node.collect()
    assert f"-a -t 10.96.0.2:80 -r {OTHER} -m -w 0" not in node.saved()
    assert f"-a -t 10.96.0.2:80 -r {ONE} -m -w 1" in node.saved()


def test_a_service_leaves_after_its_endpoints(node: Node) -> None:
    node.apply(web(ONE))
    node.apply(state(base=BASE))
    assert ["-A -t 10.96.0.2:80 -s rr", f"-a -t 10.96.0.2:80 -r {ONE} -m -w 0"] == node.saved()
    node.collect()
    assert [] == node.saved()


def test_what_is_leaving_comes_back(node: Node) -> None:
    node.apply(web(ONE, OTHER))
    node.apply(state(base=BASE))
    assert 3 == node.apply(web(ONE, OTHER))
    node.collect()
    assert text(web(ONE, OTHER)).splitlines() == node.saved()


def test_what_is_leaving_leaves_also_after_a_restart(node: Node) -> None:
    node.apply(web(ONE, OTHER))
    node.apply(web(ONE))
    again = Node(node.netns)
    again.apply(web(ONE))
    again.collect()
    again.close()
    assert text(web(ONE)).splitlines() == node.saved()


def test_endpoints_of_udp_go_at_once(node: Node) -> None:
    node.apply(web(ONE, OTHER, protocol="UDP"))
    node.apply(web(ONE, protocol="UDP"))
    assert text(web(ONE, protocol="UDP")).splitlines() == node.saved()
    node.apply(state(base=BASE))
    assert [] == node.saved()


def test_without_its_sysctls_nothing_is_written(node: Node) -> None:
    sysctl(node.netns, net__ipv4__vs__conntrack=0)
    with pytest.raises(KernelRefused, match=r"net\.ipv4\.vs\.conntrack is 0, and has to be 1"):
        node.apply(web(ONE))
    assert [] == node.saved()


def test_what_the_kernel_refuses_is_named_as_ipvsadm_writes_it(node: Node) -> None:
    node.apply(web(ONE))
    delta = Delta(create=render(BASE, web(ONE).services["default", "web"]))
    with pytest.raises(KernelRefused, match=r"IPVS refused `-A -t 10\.96\.0\.2:80 -s rr`: File ex"):
        within(node.netns, lambda: node.plane.write(BASE, delta))


def test_timeouts_are_conntracks_unless_somebody_chose_others(node: Node) -> None:
    node.apply(web(ONE))
    shown = run(node.netns, "ipvsadm", "-L", "--timeout")
    assert "432000 120 120" in shown
    node.ipvsadm("--set 60 0 0")
    assert 0 == node.restarted(web(ONE))
    assert "60 120 120" in run(node.netns, "ipvsadm", "-L", "--timeout")


def test_in_the_other_mode_nothing_of_it_stays(node: Node) -> None:
    node.apply(web(ONE))
    node.apply(state(base=based(proxy_mode="nftables")))
    node.collect()
    node.collect()
    assert [] == node.saved()
    assert "900 120 300" in run(node.netns, "ipvsadm", "-L", "--timeout")
    assert "" == run(node.netns, "nft", "list", "tables")


def test_rules_that_lead_to_it_are_looked_at(node: Node) -> None:
    node.apply(web(ONE))
    assert not node.drifted()
    run(node.netns, "nft", "flush", "chain", "ip", "groundplane-ipvs", "leaving")
    assert node.drifted()
    node.apply(web(ONE))
    assert "meta mark set" in run(
        node.netns, "nft", "list", "chain", "ip", "groundplane-ipvs", "leaving"
    )
