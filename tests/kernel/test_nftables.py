"""The nftables dataplane and the kernel. Needs root: namespaces and nf_tables."""

import json
import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.nftables import Nftables, render, ruleset
from groundplane.dataplanes.nftables.batch import encode
from groundplane.dataplanes.nftables.kernel import maps_of
from groundplane.dataplanes.nftables.maps import MAPS, host32
from groundplane.dataplanes.nftables.text import tables_of
from groundplane.diff import Delta
from groundplane.errors import KernelRefused
from groundplane.model import compiled
from groundplane.model.compiled import Endpoint, Overlay, Port, columns
from groundplane.netlink import NETFILTER
from groundplane.project.node import capacities, project_service
from groundplane.project.state import NodeBase, NodeState
from groundplane.reconcile import Reconciler
from groundplane.sizes import sizes
from tests.kernel import spaces
from tests.kernel.spaces import based, namespace
from tests.kernel.world import Server, ip, run, within
from tests.states import BASE, HERE, SIZES, full_states, of_family, service, state, states

pytestmark = pytest.mark.kernel

A = service("a", ["10.96.0.2", "fd00:96::2"], ["10.244.1.10:80", "fd00:244:0:1::10:80"])
B = service("b", ["10.96.0.3", "fd00:96::3"], ["10.244.1.11:80", "10.244.1.12:81"], pool=4)
FOREIGN = (
    "table inet theirs {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.9 }\n\t}\n}\n"
)
TINY = based(capacity=msgspec.structs.replace(SIZES, slots=4))
MANY = service("a", ["10.96.0.2"], [f"10.244.1.{n}:80" for n in range(10, 20)])


class Node:
    """A namespace, and the dataplane in it."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.plane = within(netns, Nftables)
        self.reconciler = Reconciler(self.plane)

    def close(self) -> None:
        self.plane.close()

    def bring(self, wanted: NodeState) -> int:
        return len(within(self.netns, partial(self.reconciler.bring, wanted)))

    def restarted(self, wanted: NodeState) -> int:
        """Return how much a freshly started agent changes for *wanted*."""

        def bring() -> int:
            plane = Nftables()
            try:
                return len(Reconciler(plane).bring(wanted))
            finally:
                plane.close()

        return within(self.netns, bring)

    def listed(self, *what: str) -> str:
        return run(self.netns, "nft", *(what or ("list", "ruleset")))

    def whole(self) -> list[Any]:
        """Return the ruleset without handles; elements, of which the kernel has its own order, sorted."""
        objects = json.loads(self.listed("-j", "list", "ruleset"))["nftables"][1:]
        for each in objects:
            (body,) = each.values()
            body.pop("handle", None)
            if isinstance(body.get("elem"), list):
                body["elem"].sort(key=json.dumps)
        return list(objects)

    def elements(self, base: NodeBase) -> dict[bytes, bytes]:
        """Return the elements of all our maps."""
        connection = self.plane._connection

        def dump() -> dict[bytes, bytes]:
            return dict(pair for map_ in maps_of(base) for pair in connection.elements(map_))

        return within(self.netns, dump)

    def load(self, script: str) -> None:
        run(self.netns, "nft", script)

    def drifted(self) -> bool:
        return within(self.netns, self.reconciler.distrust)

    def generation(self) -> int:
        return within(self.netns, self.plane._connection.generation)


@pytest.fixture
def node() -> Iterator[Node]:
    with namespace("nft") as netns:
        made = Node(netns)
        yield made
        made.close()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    """Return two nodes that a property's examples share: each replaces what the one before left."""
    with namespace("nft-1") as one, namespace("nft-2") as other:
        nodes = Node(one), Node(other)
        yield nodes
        for each in nodes:
            each.close()


def elements_of(wanted: NodeState) -> Mapping[bytes, bytes]:
    rendered = (render(wanted.base, part) for part in wanted.parts)
    return {key: data for part in rendered for key, data in part.items()}


@settings(max_examples=6, derandomize=True, suppress_health_check=list(HealthCheck))
@given(wanted=full_states())
def test_text_and_netlink_make_the_same_ruleset(
    pair: tuple[Node, Node], tmp_path_factory: pytest.TempPathFactory, wanted: NodeState
) -> None:
    one, other = pair
    one.bring(state(base=wanted.base))
    one.bring(wanted)  # by netlink: the framework is there
    path = tmp_path_factory.mktemp("text") / "nftables.nft"
    path.write_text(ruleset(wanted.base, elements_of(wanted)))
    other.listed("-f", str(path))
    assert elements_of(wanted) == one.elements(wanted.base) == other.elements(wanted.base)
    if len(elements_of(wanted)) < 500:  # nft takes its time
        assert one.whole() == other.whole()


@settings(max_examples=4, derandomize=True, suppress_health_check=list(HealthCheck))
@given(sequence=st.lists(states(), min_size=2, max_size=4))
def test_after_writing_the_difference_it_is_empty(
    pair: tuple[Node, Node], sequence: list[NodeState]
) -> None:
    node, _ = pair
    for wanted in sequence:
        node.bring(wanted)
        before = node.generation()
        assert 0 == node.restarted(wanted)
        assert before == node.generation()
        assert not node.drifted()


def test_a_restarted_agent_adopts_what_is_there_and_writes_nothing(node: Node) -> None:
    node.bring(state(A, B))
    before = node.generation()
    assert 0 == node.restarted(state(A, B))
    assert before == node.generation()


@pytest.mark.parametrize(
    "base",
    [
        based(service_cidrs=("10.96.0.0/16", "fd00:96::/112")),
        based(egress_masquerade=False),
        based(capacity=msgspec.structs.replace(SIZES, slots=1536)),
        based(affinity_timeouts=(60,)),
        of_family("IPv4"),
        msgspec.structs.replace(of_family("IPv4"), overlay=Overlay("vxlan", 7071, 4790)),
    ],
)
def test_another_framework_is_replaced_in_one_transaction(node: Node, base: NodeBase) -> None:
    services = [A] if len(base.families) == 2 else []
    node.bring(state(A, B))
    before = node.generation()
    node.bring(state(*services, base=base))
    assert before + 1 == node.generation()
    assert 0 == node.restarted(state(*services, base=base))
    listed = node.listed("list", "tables").splitlines()
    assert {f"table {family} groundplane" for family in tables_of(base)} == {*listed}


@pytest.mark.parametrize(("family", "address"), [("IPv4", "::1"), ("IPv6", "127.0.0.1")])
def test_a_site_of_one_family_takes_no_tunnels_of_the_other(
    node: Node, family: str, address: str
) -> None:
    """VXLAN's link takes both, and whatever is in a tunnel counts as a workload's."""
    base = msgspec.structs.replace(of_family(family), overlay=Overlay("vxlan", 7071, 4790))
    node.bring(state(base=base))
    assert 0 == node.restarted(state(base=base))

    def heard(port: int) -> bool:
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as receiver:
            receiver.bind((address, port))
            receiver.sendto(b"?", (address, port))
            return bool(select.select([receiver], [], [], 0.2)[0])

    assert (False, True) == within(node.netns, lambda: (heard(4790), heard(4791)))


def test_tables_of_others_are_untouched(node: Node) -> None:
    node.load(FOREIGN)
    for wanted in (state(A), state(A, B), state(B, base=based(egress_masquerade=False))):
        node.bring(wanted)
        assert FOREIGN == node.listed("list", "table", "inet", "theirs")


def test_a_thousand_endpoints_of_one_service(node: Node) -> None:
    base = based(capacity=msgspec.structs.replace(SIZES, slots=1536))
    targets = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(1000)]
    node.bring(state(service("a", ["10.96.0.2"], targets), base=base))
    wanted = state(service("a", ["10.96.0.2"], targets[1:]), base=base)
    assert 1000 >= node.bring(wanted)
    assert 0 == node.restarted(wanted)
    prefix = MAPS["IPv4"].cluster_ips.prefix
    handles = [data for key, data in node.elements(base).items() if key.startswith(prefix)]
    assert [host32(0x2023)] == handles


# ------------------------------------------------------------------------------------------------
# Maps that fill up.


def grown(count: int) -> NodeState:
    """Return the site at *count* services, of which web is the first, with room as it is then."""
    endpoint = columns([Endpoint("w", "n1", "", "10.244.1.10", "", (8080,))])
    listed = [
        compiled.Service(
            "default", "web" if n == 2 else f"s{n}", ("IPv4",), (f"10.96.{n >> 8}.{n & 255}",),
            (Port("http", "TCP", 80, 2 * n, 30000 + n),), endpoint,
        )
        for n in range(2, count + 2)
    ]  # fmt: skip
    made = [project_service(each, HERE, frozenset()) for each in listed]
    base = based(
        capacity=capacities(sizes(listed)), service_cidrs=("10.96.0.0/16", "fd00:96::/112")
    )
    return state(*made, base=base)


def test_a_map_is_replaced_by_a_larger_one_before_it_is_full_and_no_connection_fails() -> None:
    with spaces.node("nft-grow") as netns, ExitStack() as stack:
        ip(
            f"-n {netns} address add 10.244.1.10/32 dev lo",
            f"-n {netns} route add 10.96.0.0/16 dev groundplane0 src 192.0.2.1",
        )
        stack.callback(Server(netns, "w", 8080, ("10.244.1.10",)).close)
        node = Node(netns)
        stack.callback(node.close)
        node.bring(grown(10))
        sizes_seen, stop = [], threading.Event()

        def connect() -> list[str]:
            answers = []
            while not stop.is_set():
                with socket.create_connection(("10.96.0.2", 80), 2) as client:
                    answers.append(client.recv(100).decode().split()[0])
            return answers

        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(within, netns, connect)
            try:
                for count in (10, 500, 520, 1000, 1030, 1024, 10):
                    wanted, before = grown(count), node.generation()
                    node.bring(wanted)
                    assert node.generation() - before <= 1
                    sizes_seen.append(wanted.base.capacity.slots)
            finally:
                stop.set()
            answers = running.result()
        assert {768, 1536, 3072} == {*sizes_seen}
        assert {"w"} == {*answers}
        assert len(answers) > 50


# ------------------------------------------------------------------------------------------------
# What the kernel refuses.

IN_THE_WAY = "add element ip groundplane slots { 0x2000 . 0x1 : 10.244.9.9 . 1 }"


def test_a_refused_change_is_named_and_everything_is_replaced_once(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.bring(state(A, B))
    node.load(IN_THE_WAY)
    wanted = state(MANY, B)
    node.bring(wanted)
    assert (
        "nftables: the kernel refused to add { 0x2000 . 0x1 : 10.244.1.11 . 80 } in "
        "ip groundplane slots: File exists; everything is compared and written again"
    ) in caplog.messages
    assert elements_of(wanted) == node.elements(BASE)
    assert 0 == node.restarted(wanted)


def test_where_everything_is_refused_too_the_old_state_stays(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.bring(state(A, B))
    node.load(IN_THE_WAY)
    before = node.whole()
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "/nowhere")
        for _ in range(2):
            with pytest.raises(KernelRefused, match=r"^nft is not installed$"):
                node.bring(state(MANY, B))
    assert before == node.whole()
    node.bring(state(MANY, B))
    assert 0 == node.restarted(state(MANY, B))


def test_what_does_not_fit_is_refused_and_changes_nothing(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.bring(state(A, B, base=TINY))
    before = node.whole()
    with pytest.raises(KernelRefused) as refused:
        node.bring(state(MANY, base=TINY))
    assert str(refused.value).startswith("nft refused the ruleset: ")
    assert "Too many open files in system" in str(refused.value)
    (warned,) = (text for text in caplog.messages if "written again" in text)
    assert "the kernel refused to add { 0x2000 . 0x" in warned
    assert "in ip groundplane slots: it is full; everything" in warned
    assert before == node.whole()
    node.bring(state(A, B, base=TINY))
    assert 0 == node.restarted(state(A, B, base=TINY))


def test_what_is_to_go_and_is_not_there_is_named(node: Node) -> None:
    node.bring(state(A))
    delta = Delta(delete={MAPS["IPv6"].nodes.prefix + bytes(15) + b"\7": b""})
    with pytest.raises(KernelRefused) as refused:
        within(node.netns, partial(node.plane.write, BASE, delta))
    named = "the kernel refused to delete { ::7 } in ip6 groundplane nodes: it is not there"
    assert named == str(refused.value)


def test_without_nft_the_reason_is_told(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KernelRefused, match=r"^nft is not installed$"):
        node.bring(state(A))


def with_a_small_buffer(node: Node) -> socket.socket:
    """Let the plane's socket hold next to nothing (the kernel makes 2,304 bytes of it)."""
    opened = node.plane._connection._netlink._socket
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    return opened


def test_more_errors_than_the_receive_buffer_holds_are_one_and_the_next_call_works(
    node: Node,
) -> None:
    """Each message of a batch has an error of its own, and each map at least one message."""
    node.bring(state(A))
    small = with_a_small_buffer(node)
    missing = {
        map_.prefix + b"\1" * map_.key_width: b""
        for maps in MAPS.values()
        for map_ in maps.all
        if map_.name not in ("choose", "affinity")
    }
    delta = Delta(delete=missing)
    with pytest.raises(KernelRefused) as refused:
        within(node.netns, partial(node.plane._connection.write, delta, encode(delta)))
    assert "the kernel took no change: No buffer space available" == str(refused.value)
    assert -1 == small.fileno()  # closed: no error that came late is read as the next answer
    before = node.generation()
    with pytest.raises(KernelRefused, match=r"the kernel refused to delete \{ 1\.1\.1\.1 \. "):
        within(node.netns, partial(node.plane._connection.write, delta, encode(delta)))
    assert before == node.generation()
    assert 0 == node.restarted(state(A))


def test_a_dump_that_is_larger_than_the_receive_buffer_comes_in_parts(node: Node) -> None:
    base = based(capacity=msgspec.structs.replace(SIZES, slots=6144))
    targets = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(4000)]
    wanted = state(service("a", ["10.96.0.2"], targets), base=base)
    node.bring(wanted)
    with_a_small_buffer(node)
    assert elements_of(wanted) == node.elements(base)
    node.reconciler.forget()
    assert 0 == node.bring(wanted)


# ------------------------------------------------------------------------------------------------
# What others do to our tables.


def test_our_own_transactions_are_no_drift_and_those_of_others_are(node: Node) -> None:
    node.bring(state(A))
    assert not node.drifted()
    node.bring(state(A, B))
    node.bring(state(B))
    assert not node.drifted()
    node.load("add table inet theirs")
    assert node.drifted()
    assert 0 == node.bring(state(B))  # it was read, and nothing of ours had changed
    assert not node.drifted()


CHANGED = (
    "delete element ip groundplane cluster_ips { 10.96.0.2 . tcp . 80 }; "
    "add element ip groundplane cluster_ips { 10.96.0.2 . tcp . 80 : 0x2002 }"
)
DAMAGES = [
    "flush ruleset",
    "delete table ip groundplane",
    "delete table bridge groundplane",
    "flush map ip groundplane cluster_ips",
    "add element ip groundplane service_addresses { 10.96.0.200 }",
    "delete element ip6 groundplane nodes { 2001:db8::2 }",
    CHANGED,
    "insert rule ip groundplane services drop",
    "flush chain ip6 groundplane services",
    "delete element ip groundplane classes { 0x1 }",
    "add element ip groundplane not_masqueraded { 198.51.100.0/24 }",
    "add chain ip groundplane theirs { type filter hook input priority 0; policy drop; }",
    "add table ip groundplane { flags dormant; }",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_others_did_to_our_tables_is_seen_and_undone(node: Node, damage: str) -> None:
    wanted = state(A, B)
    node.bring(wanted)
    before = node.whole()
    node.load(damage)
    assert before != node.whole()
    assert node.drifted()
    assert 0 < node.bring(wanted)
    assert before == node.whole()
    assert not node.drifted()


@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_tables_that_others_removed_are_never_filled_in_part(node: Node, damage: str) -> None:
    """A change that comes before anyone looked is no difference to what is there then."""
    node.bring(state(A))
    node.load(damage)
    node.bring(state(A, B))
    assert elements_of(state(A, B)) == node.elements(BASE)
    assert 0 == node.restarted(state(A, B))


def test_the_tables_of_an_older_version_are_replaced(node: Node) -> None:
    node.load('table ip groundplane { comment "old"; set nodes { type ipv4_addr; }; }')
    node.bring(state(A))
    assert elements_of(state(A)) == node.elements(BASE)


def test_who_was_kept_where_outlives_the_tables_replacement(node: Node) -> None:
    """Of either family; what no map has any more is left behind."""
    base, other = based(affinity_timeouts=(60,)), based(affinity_timeouts=(60, 300))
    node.bring(state(base=base))
    node.load("add element ip groundplane affinity { 0x2000 . 192.0.2.7 timeout 60s : 0x2005 }")
    node.load("add element ip6 groundplane affinity { 0x2000 . 7 . 8 timeout 60s : 0x2006 }")
    node.bring(state(base=other))
    for family, key in (("ip", "192.0.2.7"), ("ip6", "7")):
        assert key in node.listed("list", "map", family, "groundplane", "affinity")


def test_tables_can_be_there_before_services_are(node: Node) -> None:
    wanted = state(A, B)
    within(node.netns, partial(node.reconciler.prepare, wanted.base))
    assert "table bridge groundplane" in node.listed("list", "tables")
    assert {} == node.elements(wanted.base)
    prepared = node.generation()
    assert len(elements_of(wanted)) == node.bring(wanted)
    assert prepared + 1 == node.generation()
    assert elements_of(wanted) == node.elements(wanted.base)
    assert not node.drifted()


def test_what_is_there_is_not_prepared_again(node: Node) -> None:
    node.bring(state(A))
    there, generation = node.listed(), node.generation()
    within(node.netns, lambda: Reconciler(node.plane).prepare(state(B).base))
    assert (there, generation) == (node.listed(), node.generation())


# ------------------------------------------------------------------------------------------------


def heard(node: Node, descriptor: int) -> bool:
    """Return whether the dataplane hears of something within a moment."""
    return bool(select.select([descriptor], [], [], 0.2)[0])


FOREIGN_CHANGES = {
    "the whole ruleset is flushed": "flush ruleset",
    "a table of ours is deleted": "delete table bridge groundplane",
    "an element is deleted": "flush map ip groundplane slots",
    "a rule is added": "add rule ip groundplane services accept",
}


@pytest.mark.parametrize("change", FOREIGN_CHANGES)
def test_what_others_do_to_our_tables_is_heard_of_with_their_name(node: Node, change: str) -> None:
    node.bring(state(A, B))
    descriptor = within(node.netns, node.plane.listen)
    assert not node.drifted()
    node.load(FOREIGN + "add element inet theirs s { 192.0.2.10 }")
    within(node.netns, partial(node.plane.disturbed, BASE))
    assert not heard(node, descriptor)
    process = subprocess.Popen(["ip", "netns", "exec", node.netns, "nft", FOREIGN_CHANGES[change]])
    assert 0 == process.wait()
    assert heard(node, descriptor)
    assert node.drifted()
    assert node.plane.culprit() in (f"nft (pid {process.pid})", "nft")
    node.bring(state(A, B))
    assert not node.drifted()
    assert not heard(node, descriptor)
    assert elements_of(state(A, B)) == node.elements(BASE)


def test_of_our_own_changes_and_of_those_of_other_tables_nothing_is_made(node: Node) -> None:
    node.bring(state(A))
    descriptor = within(node.netns, node.plane.listen)
    node.bring(state(A, B))
    assert not heard(node, descriptor)
    node.load(FOREIGN)
    assert not node.drifted()
    node.bring(state(A, base=based(capacity=msgspec.structs.replace(SIZES, slots=3 << 12))))
    assert not node.drifted()  # by nft, for us


def test_what_was_changed_before_anyone_listened_is_seen(node: Node) -> None:
    node.bring(state(A))
    node.load("flush map ip groundplane slots")
    within(node.netns, node.plane.listen)
    assert node.drifted()


def test_our_own_changes_are_ours_also_after_everything_was_read_again(node: Node) -> None:
    """The socket keeps its port, by which the kernel keeps back what is told of them."""

    def take_the_port_of_the_process() -> socket.socket:
        """Let no socket get the same port again by chance: the kernel gives the pid, while it is free."""
        taken = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
        taken.bind((os.getpid(), 0))
        return taken

    node.plane.close()
    with within(node.netns, take_the_port_of_the_process):
        anew = Node(node.netns)
        try:
            anew.bring(state(A))
            descriptor = within(anew.netns, anew.plane.listen)
            anew.reconciler.forget()
            assert 0 == anew.bring(state(A))
            anew.bring(state(A, B))
            assert not heard(anew, descriptor)
            assert not anew.drifted()
        finally:
            anew.close()
