"""The version before had one table; this one has two: they change in one transaction, under traffic."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Self

import pytest

from groundplane.dataplanes.nftables.netlink import NftConnection
from groundplane.kernel.tables import BatchMessage
from groundplane.project import project
from tests.before.ruleset import one_table
from tests.conformance.running import site_of
from tests.kernel.nftables import A, Node
from tests.kernel.segments import Echo, broken, connected
from tests.kernel.spaces import based, namespace, own
from tests.kernel.world import World, run, world
from tests.states import state
from tests.waiting import until

pytestmark = pytest.mark.kernel

# Who asks which service, and who answers: another node's workload, itself, and one for outside.
PATHS = {"far": ("a", "c"), "self": ("a", "a"), "outside": ("near", "c")}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    site = site_of("nftables", tmp_path_factory.mktemp("upgrade"))
    with (
        world(site, own("up")) as built,
        Echo(built.workload("a"), 8080),
        Echo(built.workload("c"), 8080),
    ):
        yield built


def load(net: World, node: str, file: Path) -> None:
    """Let *node* have what the version before would have."""
    file.write_text(one_table(project(net.site, node, frozenset())))
    run(net.node(node), "nft", "-f", str(file))


def upgrade(net: World) -> None:
    """Let agents of this version start: they know nothing of what was before."""
    for reconcilers in net.planes.values():
        for reconciler in reconcilers:
            reconciler.forget()
    net.apply()


def address_of(net: World, path: str, family: str) -> str:
    service = "far" if path == "outside" else path
    found = next(each for each in net.site.services if each.name == service)
    return found.cluster_ips[family == "IPv6"]


class Connecting:
    """Opens connections one after the other until it is left; each is answered, or counts as lost."""

    def __init__(self, netns: str, address: str) -> None:
        self.made, self.lost = 0, 0
        self._to = netns, address
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._left.is_set():
            try:
                for each in connected(*self._to, 80, 5):
                    self.made += 1
                    each.close()
            except (OSError, AssertionError):
                self.lost += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("path", PATHS)
def test_no_connection_is_lost(net: World, path: str, family: str, tmp_path: Path) -> None:
    """Neither one that stands nor one that begins meanwhile."""
    for node in net.site.nodes:
        load(net, node.name, tmp_path / "one-table.nft")
    place, address = net.place(PATHS[path][0]), address_of(net, path, family)
    standing = connected(place, address, 80, 20)
    with Connecting(place, address) as connecting:
        for _ in range(3):
            upgrade(net)
            for node in net.site.nodes:
                load(net, node.name, tmp_path / "one-table.nft")
        upgrade(net)
    assert (True, 0) == (connecting.made > 20, connecting.lost)
    assert 0 == broken(standing)
    for each in standing:
        each.close()
    tables = run(net.node("n1"), "nft", "list", "tables")
    assert "table ip groundplane-services" in tables


@pytest.mark.slow
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("path", PATHS)
def test_what_is_missed_meanwhile_is_sent_again(net: World, path: str, family: str) -> None:
    """A packet may pass the new chain before it has rules, and the old one when it has none any more.

    Passed on untranslated, its connection would stay so for as long as its client tries.
    """
    upgrade(net)
    place, address = net.place(PATHS[path][0]), address_of(net, path, family)
    node = net.node("n1")
    ip = "ip" if family == "IPv4" else "ip6"
    run(node, "nft", f"flush chain {ip} groundplane-services nat-prerouting")
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(connected, place, address, 80, 1)
        until(lambda: "SYN-SENT" in run(place, "ss", "-tn", "state", "all"))
        sleep(0.1)
        upgrade(net)
        for each in begun.result():
            each.close()


def test_sets_lose_their_elements_with_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a packet in the old rules finds the address of its service, but no port, and is refused."""
    with namespace("emptied") as netns:
        node, sent = Node(netns), list[str]()
        commit = NftConnection.commit

        def record(connection: NftConnection, messages: Sequence[BatchMessage]) -> None:
            sent.extend(each.what for each in messages)
            commit(connection, messages)

        node.apply(state(A, base=based(affinity_timeouts=(60,))))
        monkeypatch.setattr(NftConnection, "commit", record)
        node.apply(state(A, base=based()))
        node.close()
    tables = ("ip groundplane-services", "ip6 groundplane-services")
    emptied = [f"all elements of {table} service_addresses" for table in tables]
    assert emptied == [what for what in sent if what.startswith("all elements")]
    assert sent.index(emptied[0]) < sent.index("removal of table ip groundplane-services")


def test_it_is_one_transaction_and_clients_stay_where_they_were(tmp_path: Path) -> None:
    base = based(affinity_timeouts=(60,))
    file = tmp_path / "one-table.nft"
    file.write_text(one_table(state(A, base=base)))
    with namespace("one") as netns:
        node = Node(netns)
        run(netns, "nft", "-f", str(file))
        node.load("add element ip groundplane affinity { 0x2000 . 192.0.2.7 timeout 60s : 0x2005 }")
        before = node.generation()
        node.apply(state(A, base=base))
        assert before + 1 == node.generation()
        assert "192.0.2.7" in node.listed("list", "map", "ip", "groundplane-services", "affinity")
        assert "cluster_ips" not in node.listed("list", "table", "ip", "groundplane")
        assert 0 == node.restarted(state(A, base=base))
        node.close()
