"""The nftables dataplane and the kernel. Needs root: namespaces and nf_tables."""

import os
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.batch import encode
from groundplane.dataplanes.nftables.maps import host32
from groundplane.errors import KernelRefused
from groundplane.project.node import capacities, project_service
from groundplane.project.state import NodeBase, NodeState
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Overlay, Port, columns
from groundplane.site.map_sizes import sizes
from tests.kernel import spaces
from tests.kernel.nftables import FOREIGN, A, B, Node, elements_of
from tests.kernel.spaces import based, namespace
from tests.kernel.world import Server, ip, within
from tests.rulesets import MAPS, ruleset, tables_of
from tests.states import BASE, HERE, SIZES, full_states, of_family, service, state, states

pytestmark = pytest.mark.kernel

TINY = based(capacity=msgspec.structs.replace(SIZES, slots=4))
MANY = service("a", ["10.96.0.2"], [f"10.244.1.{n}:80" for n in range(10, 20)])


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


@settings(max_examples=6, derandomize=True, suppress_health_check=list(HealthCheck))
@given(wanted=full_states())
def test_text_and_netlink_make_the_same_ruleset(
    pair: tuple[Node, Node], tmp_path_factory: pytest.TempPathFactory, wanted: NodeState
) -> None:
    one, other = pair
    one.apply(state(base=wanted.base))
    one.apply(wanted)  # by netlink: the framework is there
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
        node.apply(wanted)
        before = node.generation()
        assert 0 == node.restarted(wanted)
        assert before == node.generation()
        assert not node.drifted()


def test_a_restarted_agent_adopts_what_is_there_and_writes_nothing(node: Node) -> None:
    node.apply(state(A, B))
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
    node.apply(state(A, B))
    before = node.generation()
    node.apply(state(*services, base=base))
    assert before + 1 == node.generation()
    assert 0 == node.restarted(state(*services, base=base))
    listed = node.listed("list", "tables").splitlines()
    assert {f"table {table}" for table in tables_of(base)} == {*listed}


@pytest.mark.parametrize(("family", "address"), [("IPv4", "::1"), ("IPv6", "127.0.0.1")])
def test_a_site_of_one_family_takes_no_tunnels_of_the_other(
    node: Node, family: str, address: str
) -> None:
    """VXLAN's link takes both, and whatever is in a tunnel counts as a workload's."""
    base = msgspec.structs.replace(of_family(family), overlay=Overlay("vxlan", 7071, 4790))
    node.apply(state(base=base))
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
        node.apply(wanted)
        assert FOREIGN == node.listed("list", "table", "inet", "theirs")


def test_a_thousand_endpoints_of_one_service(node: Node) -> None:
    base = based(capacity=msgspec.structs.replace(SIZES, slots=1536))
    targets = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(1000)]
    node.apply(state(service("a", ["10.96.0.2"], targets), base=base))
    wanted = state(service("a", ["10.96.0.2"], targets[1:]), base=base)
    assert 1000 >= node.apply(wanted)
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
        node.apply(grown(10))
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
                    node.apply(wanted)
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

IN_THE_WAY = "add element ip groundplane-services slots { 0x2000 . 0x1 : 10.244.9.9 . 1 }"


def test_a_refused_change_is_named_and_compared_with_what_is_there(
    node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no nft."""
    node.apply(state(A, B))
    node.load(IN_THE_WAY)
    wanted = state(MANY, B)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "/nowhere")
        node.apply(wanted)
    assert (
        "nftables: the kernel refused to add { 0x2000 . 0x1 : 10.244.1.11 . 80 } in "
        "ip groundplane-services slots: File exists; retrying with a full resync"
    ) in caplog.messages
    assert elements_of(wanted) == node.elements(BASE)
    assert 0 == node.restarted(wanted)


def test_a_service_that_does_not_fit_stays_as_it_was_and_the_others_change(node: Node) -> None:
    node.apply(state(A, B, base=TINY))
    other = service("c", ["10.96.0.9"], ["10.244.1.9:80"], pool=9)
    for _ in range(2):
        with pytest.raises(KernelRefused) as refused:
            node.apply(state(MANY, other, base=TINY))
        named = str(refused.value)
        assert named.startswith("Service/default/a: the kernel refused to add { 0x2000 . 0x")
        assert named.endswith("in ip groundplane-services slots: it is full")
        assert elements_of(state(A, other, base=TINY)) == node.elements(TINY)
    node.apply(state(A, other, base=TINY))
    assert 0 == node.restarted(state(A, other, base=TINY))


def test_what_is_to_go_and_is_not_there_is_named(node: Node) -> None:
    node.apply(state(A))
    delta = Delta(delete={MAPS["IPv6"].nodes.prefix + bytes(15) + b"\7": b""})
    with pytest.raises(KernelRefused) as refused:
        within(node.netns, partial(node.plane.write, BASE, delta))
    named = "the kernel refused to delete { ::7 } in ip6 groundplane nodes: it is not there"
    assert named == str(refused.value)


def test_a_load_and_a_replacement_need_no_nft(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "/nowhere")
    node.apply(state(A))
    other = msgspec.structs.replace(BASE, egress_masquerade=False)
    node.apply(state(A, base=other))
    monkeypatch.setenv("PATH", path)
    assert 0 == node.restarted(state(A, base=other))


def with_a_small_buffer(node: Node) -> socket.socket:
    """Let the plane's socket hold next to nothing (the kernel makes 2,304 bytes of it)."""
    opened = node.plane._connection._netlink._socket
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    return opened


def test_more_errors_than_the_receive_buffer_holds_are_one_and_the_next_call_works(
    node: Node,
) -> None:
    """Each message of a batch has an error of its own, and each map at least one message."""
    node.apply(state(A))
    small = with_a_small_buffer(node)
    missing = {map_.prefix + b"\1" * map_.key_width: b"" for map_ in node.plane.maps(BASE)}
    delta = Delta(delete=missing)
    with pytest.raises(KernelRefused) as refused:
        within(node.netns, partial(node.plane._connection.commit, encode(delta)))
    assert "the kernel took no change: No buffer space available" == str(refused.value)
    assert -1 == small.fileno()  # closed: no error that came late is read as the next answer
    before = node.generation()
    with pytest.raises(
        KernelRefused,
        match=r"the kernel refused to delete \{ 1\.1\.1\.1 \} in ip groundplane nodes",
    ):
        within(node.netns, partial(node.plane._connection.commit, encode(delta)))
    assert before == node.generation()
    assert 0 == node.restarted(state(A))


def test_a_dump_that_is_larger_than_the_receive_buffer_comes_in_parts(node: Node) -> None:
    base = based(capacity=msgspec.structs.replace(SIZES, slots=6144))
    targets = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(4000)]
    wanted = state(service("a", ["10.96.0.2"], targets), base=base)
    node.apply(wanted)
    with_a_small_buffer(node)
    assert elements_of(wanted) == node.elements(base)
    node.reconciler.forget()
    assert 0 == node.apply(wanted)
