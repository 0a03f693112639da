"""The nftables dataplane and the kernel. Needs root: namespaces and nf_tables."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.nftables import Nftables, render, ruleset
from groundplane.diff import Delta
from groundplane.errors import KernelRefused
from groundplane.project.state import NodeBase, NodeState
from groundplane.reconcile import Reconciler
from tests.kernel.spaces import based, namespace
from tests.kernel.world import run, within
from tests.states import BASE, of_family, service, state, states

pytestmark = pytest.mark.kernel

A = service("a", ["10.96.0.2", "fd00:96::2"], ["10.244.1.10:80", "fd00:244:0:1::10:80"])
B = service("b", ["10.96.0.3", "fd00:96::3"], ["10.244.1.11:80", "10.244.1.12:81"], pool=4)
FOREIGN = (
    "table inet theirs {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.9 }\n\t}\n}\n"
)


class Node:
    """A namespace, and the dataplane in it."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.plane = within(netns, Nftables)
        self.reconciler = Reconciler(self.plane)

    def bring(self, wanted: NodeState) -> int:
        return within(self.netns, partial(self.reconciler.bring, wanted))

    def restarted(self) -> Reconciler[object, bytes]:
        return Reconciler(within(self.netns, Nftables))  # type: ignore[arg-type]

    def listed(self, *what: str) -> str:
        return run(self.netns, "nft", *(what or ("list", "ruleset")))

    def load(self, script: str) -> None:
        run(self.netns, "nft", script)

    def generation(self) -> int:
        return self.plane._connection.generation()


@pytest.fixture
def node() -> Iterator[Node]:
    with namespace("nft") as netns:
        yield Node(netns)


@pytest.mark.parametrize("base", [BASE, of_family("IPv4"), of_family("IPv6")])
def test_text_and_netlink_make_the_same_ruleset(node: Node, base: NodeBase, tmp_path: Path) -> None:
    services = [A, B] if len(base.families) == 2 else []
    wanted = state(*services, base=base)
    node.bring(wanted)
    written = node.listed()
    elements = {key: data for part in wanted.parts for key, data in render(part).items()}
    path = tmp_path / "nftables.nft"
    path.write_text(ruleset(base, elements))
    run(node.netns, "nft", "-f", str(path))
    assert ordered(written) == ordered(node.listed())


def ordered(ruleset_text: str) -> list[str]:
    """Return the lines with the elements of each set in order: the kernel has them in its own."""
    joined = ruleset_text.replace(",\n\t\t\t     ", ", ")
    return [", ".join(sorted(line.split(", "))) for line in joined.splitlines()]


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(sequence=st.lists(states(), min_size=1, max_size=3))
def test_after_writing_the_difference_it_is_empty(node: Node, sequence: list[NodeState]) -> None:
    for wanted in sequence:
        node.bring(wanted)
        assert not within(node.netns, partial(node.restarted().plan, wanted))


def test_a_restarted_agent_adopts_what_is_there_and_writes_nothing(node: Node) -> None:
    node.bring(state(A, B))
    before = node.generation()
    assert 0 == within(node.netns, partial(node.restarted().bring, state(A, B)))
    assert before == node.generation()


@pytest.mark.parametrize(
    "base",
    [
        based(service_cidrs=("10.96.0.0/16", "fd00:96::/112")),
        based(egress_masquerade=False),
        based(slot_capacity=24576),
        of_family("IPv4"),
    ],
)
def test_another_framework_is_replaced_in_one_transaction(node: Node, base: NodeBase) -> None:
    services = [A] if len(base.families) == 2 else []
    node.bring(state(A, B))
    before = node.generation()
    node.bring(state(*services, base=base))
    assert before + 1 == node.generation()
    assert not within(node.netns, partial(node.restarted().plan, state(*services, base=base)))
    assert ("ip6 groundplane" in node.listed("list", "tables")) == ("IPv6" in base.families)


def test_a_change_that_does_not_fit_is_refused_and_changes_nothing(node: Node) -> None:
    base = based(slot_capacity=4)
    node.bring(state(A, B, base=base))
    before = node.listed()
    many = service("a", ["10.96.0.2"], [f"10.244.1.{n}:80" for n in range(10, 20)])
    with pytest.raises(KernelRefused) as refused:
        node.bring(state(many, base=base))
    assert "the kernel refused the change: Too many open files in system" == str(refused.value)
    assert ordered(before) == ordered(node.listed())
    assert 0 == node.bring(state(A, B, base=base))


def test_a_change_of_what_is_not_there_is_refused(node: Node) -> None:
    node.bring(state(A))
    delta = Delta(delete=render(B))
    with pytest.raises(KernelRefused, match="the kernel refused the change: No such file"):
        within(node.netns, partial(node.plane.write, BASE, delta))
    assert 0 == node.bring(state(A))


def test_many_refusals_of_one_batch_are_one_error(node: Node) -> None:
    """Each message of a batch has its own: more than a receive buffer held with the messages."""
    node.bring(state(A))
    targets = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(4000)]
    delta = Delta(delete=render(service("z", ["10.96.0.9"], targets, pool=8)))
    for _ in range(2):
        node.bring(state(A))
        with pytest.raises(KernelRefused, match="the kernel refused the change: No such file"):
            within(node.netns, partial(node.plane.write, BASE, delta))


@pytest.mark.parametrize("how", ["flush ruleset", "delete table bridge groundplane"])
def test_tables_that_others_removed_are_never_filled_in_part(node: Node, how: str) -> None:
    node.bring(state(A))
    node.load(how)
    with pytest.raises(KernelRefused, match="others removed or changed our tables"):
        node.bring(state(A, B))
    node.bring(state(A, B))
    assert not within(node.netns, partial(node.restarted().plan, state(A, B)))


def test_an_element_that_others_added_or_removed_is_put_right_when_read(node: Node) -> None:
    node.bring(state(A))
    node.load("add element ip groundplane nodes { 198.51.100.1 }")
    node.load("delete element ip groundplane cluster_addresses { 10.96.0.2 }")
    node.reconciler.forget()
    assert 2 == node.bring(state(A))


def test_tables_of_others_are_untouched(node: Node) -> None:
    run(node.netns, "nft", FOREIGN)
    for wanted in (state(A), state(A, B), state(B, base=based(egress_masquerade=False))):
        node.bring(wanted)
        assert FOREIGN == node.listed("list", "table", "inet", "theirs")


def test_a_thousand_endpoints_of_one_service(node: Node) -> None:
    targets = [f"10.244.{n >> 8}.{n & 255}:80" for n in range(1000)]
    node.bring(state(service("a", ["10.96.0.2"], targets)))
    wanted = state(service("a", ["10.96.0.2"], targets[1:]))
    assert 1000 >= node.bring(wanted)
    assert not within(node.netns, partial(node.restarted().plan, wanted))
    assert "0:2023" in node.listed("list", "map", "ip", "groundplane", "cluster_ips")


def test_without_nft_the_reason_is_told(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KernelRefused, match=r"^nft is not installed$"):
        node.bring(state(A))


def test_our_own_transactions_are_no_drift_and_those_of_others_are(node: Node) -> None:
    def drifted() -> bool:
        return within(node.netns, node.reconciler.distrust)

    node.bring(state(A))
    assert not drifted()
    node.bring(state(A, B))
    node.bring(state(B))
    assert not drifted()
    node.load("add table inet theirs")
    assert drifted()
    assert 0 == node.bring(state(B))  # it was read, and nothing of ours had changed
    assert not drifted()


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table ip groundplane",
        "flush map ip groundplane cluster_ips",
        "add element ip groundplane cluster_addresses { 10.96.0.200 }",
        "insert rule ip groundplane services drop",
        "flush chain ip6 groundplane services",
    ],
)
def test_what_others_did_to_our_tables_is_undone(node: Node, damage: str) -> None:
    node.bring(state(A, B))
    before = ordered(node.listed())
    node.load(damage)
    assert within(node.netns, node.reconciler.distrust)
    node.bring(state(A, B))
    assert before == ordered(node.listed())
