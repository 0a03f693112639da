"""What others do to our tables: it is heard of, seen, and undone. Needs root."""

import os
import select
import socket
import subprocess
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest

from groundplane.dataplanes import Drift
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.kernel.netlink import NETFILTER
from tests.kernel.nftables import FOREIGN, A, B, Node, elements_of
from tests.kernel.spaces import based, namespace
from tests.kernel.world import within
from tests.states import BASE, SIZES, state

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


@pytest.fixture
def node() -> Iterator[Node]:
    with namespace("nft") as netns:
        made = Node(netns)
        yield made
        made.close()


def test_our_own_transactions_are_no_drift_and_those_of_others_are(node: Node) -> None:
    node.apply(state(A))
    assert not node.drifted()
    node.apply(state(A, B))
    node.apply(state(B))
    assert not node.drifted()
    node.load("add table inet theirs")
    assert node.drifted()
    assert 0 == node.apply(state(B))  # it was read, and nothing of ours had changed
    assert not node.drifted()


CHANGED = (
    "delete element ip groundplane-services cluster_ips { 10.96.0.2 . tcp . 80 }; "
    "add element ip groundplane-services cluster_ips { 10.96.0.2 . tcp . 80 : 0x2002 }"
)
DAMAGES = [
    "flush ruleset",
    "delete table ip groundplane",
    "delete table bridge groundplane",
    "flush map ip groundplane-services cluster_ips",
    "add element ip groundplane-services service_addresses { 10.96.0.200 }",
    "delete element ip6 groundplane nodes { 2001:db8::2 }",
    CHANGED,
    "insert rule ip groundplane-services services drop",
    "flush chain ip6 groundplane-services services",
    "delete element ip groundplane-services classes { 0x1 }",
    "add element ip groundplane not_masqueraded { 198.51.100.0/24 }",
    "add chain ip groundplane theirs { type filter hook input priority 0; policy drop; }",
    "add table ip groundplane { flags dormant; }",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_others_did_to_our_tables_is_seen_and_undone(node: Node, damage: str) -> None:
    wanted = state(A, B)
    node.apply(wanted)
    before = node.whole()
    node.load(damage)
    assert before != node.whole()
    assert node.drifted()
    assert 0 < node.apply(wanted)
    assert before == node.whole()
    assert not node.drifted()


@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_tables_that_others_removed_are_never_filled_in_part(node: Node, damage: str) -> None:
    """A change that comes before anyone looked is not a difference to what is there then."""
    node.apply(state(A))
    node.load(damage)
    node.apply(state(A, B))
    assert elements_of(state(A, B)) == node.elements(BASE)
    assert 0 == node.restarted(state(A, B))


def test_the_tables_of_an_older_version_are_replaced(node: Node) -> None:
    node.load('table ip groundplane { comment "old"; set nodes { type ipv4_addr; }; }')
    node.apply(state(A))
    assert elements_of(state(A)) == node.elements(BASE)


def test_who_was_kept_where_outlives_the_tables_replacement(node: Node) -> None:
    """Of either family; what no map has any more is left behind."""
    base, other = based(affinity_timeouts=(60,)), based(affinity_timeouts=(60, 300))
    node.apply(state(base=base))
    node.load(
        "add element ip groundplane-services affinity { 0x2000 . 192.0.2.7 timeout 60s : 0x2005 }"
    )
    node.load(
        "add element ip6 groundplane-services affinity { 0x2000 . 7 . 8 timeout 60s : 0x2006 }"
    )
    node.apply(state(base=other))
    for family, key in (("ip", "192.0.2.7"), ("ip6", "7")):
        assert key in node.listed("list", "map", family, "groundplane-services", "affinity")


def test_tables_can_be_there_before_services_are(node: Node) -> None:
    wanted = state(A, B)
    within(node.netns, partial(node.reconciler.prepare, wanted.base))
    assert "table bridge groundplane" in node.listed("list", "tables")
    assert {} == node.elements(wanted.base)
    prepared = node.generation()
    assert len(elements_of(wanted)) == node.apply(wanted)
    assert prepared + 1 == node.generation()
    assert elements_of(wanted) == node.elements(wanted.base)
    assert not node.drifted()


def test_what_is_there_is_not_prepared_again(node: Node) -> None:
    node.apply(state(A))
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
    "an element is deleted": "flush map ip groundplane-services slots",
    "a rule is added": "add rule ip groundplane-services services accept",
}


@pytest.mark.parametrize("change", FOREIGN_CHANGES)
def test_what_others_do_to_our_tables_is_heard_of_with_their_name(node: Node, change: str) -> None:
    node.apply(state(A, B))
    descriptor = within(node.netns, node.plane.listen)
    assert not node.drifted()
    node.load(FOREIGN + "add element inet theirs s { 192.0.2.10 }")
    within(node.netns, partial(node.plane.drift, BASE))
    assert not heard(node, descriptor)
    process = subprocess.Popen(["ip", "netns", "exec", node.netns, "nft", FOREIGN_CHANGES[change]])
    assert 0 == process.wait()
    assert heard(node, descriptor)
    drift = within(node.netns, node.reconciler.drift)
    assert drift in (Drift(f"nft (pid {process.pid})"), Drift("nft"))
    node.apply(state(A, B))
    assert not node.drifted()
    assert not heard(node, descriptor)
    assert elements_of(state(A, B)) == node.elements(BASE)


def test_of_our_own_changes_and_of_those_of_other_tables_nothing_is_made(node: Node) -> None:
    node.apply(state(A))
    descriptor = within(node.netns, node.plane.listen)
    node.apply(state(A, B))
    assert not heard(node, descriptor)
    node.load(FOREIGN)
    assert not node.drifted()
    node.apply(state(A, base=based(capacity=msgspec.structs.replace(SIZES, slots=3 << 12))))
    assert not node.drifted()  # by nft, for us


def test_what_was_changed_before_anyone_listened_is_seen(node: Node) -> None:
    node.apply(state(A))
    node.load("flush map ip groundplane-services slots")
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
        restarted = Node(node.netns)
        try:
            restarted.apply(state(A))
            descriptor = within(restarted.netns, restarted.plane.listen)
            restarted.reconciler.forget()
            assert 0 == restarted.apply(state(A))
            restarted.apply(state(A, B))
            assert not heard(restarted, descriptor)
            assert not restarted.drifted()
        finally:
            restarted.close()
