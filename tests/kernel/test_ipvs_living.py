"""Nodes in the mode `ipvs` that live: endpoints leave, and modes are switched, under connections.

Needs root, and a kernel with IPVS (tests/vms/test_ipvs.py).
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path

import msgspec
import pytest

from groundplane.errors import KernelRefused
from groundplane.node.support_bundle import collect, commands_of_a_node
from groundplane.project import project
from groundplane.proxies.ipvs.plane import IpvsPlane
from groundplane.site import compiled
from groundplane.site.compiled import Ipvs as Settings
from tests.kernel.echo import connect, echo, lives
from tests.kernel.ipvs import in_mode, need_ipvs
from tests.kernel.spaces import own
from tests.kernel.world import World, ask, run, sysctl, within, world

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", autouse=True)
def _needs_ipvs() -> None:
    need_ipvs()


@pytest.fixture(scope="module")
def net(site: compiled.Site) -> Iterator[World]:
    with world(in_mode(site, "ipvs"), own("v")) as built, contextlib.ExitStack() as echoes:
        for name, port in (("a", 8080), ("b", 8081), ("c", 8080)):
            echoes.enter_context(echo(built.workload(name), port))
        yield built


def address_of(net: World, name: str) -> str:
    found = next(each for each in net.site.services if each.name == name)
    return found.cluster_ips[0]


def settle(net: World, node: str) -> None:
    for reconciler in net.planes[node]:
        within(net.node(node), reconciler.collect)


def switched(net: World, mode: str) -> None:
    net.site = in_mode(net.site, mode)
    net.apply()


def servers(net: World, node: str) -> str:
    return run(net.node(node), "ipvsadm", "--save", "--numeric")


def test_an_established_connection_outlives_its_endpoint_and_no_new_one_goes_there(
    net: World,
) -> None:
    web = address_of(net, "self")
    with connect(net.place("near"), web) as connection:
        assert lives(connection)
        net.apply(frozenset({("default", "a")}))
        try:
            assert ["refused"] == ask(net.place("near"), web, 80, "TCP")
            settle(net, "n1")
            assert lives(connection)
            assert f"-t {web}:80 " in servers(net, "n1")
        finally:
            net.apply()
        assert lives(connection)
    assert f"-a -t {web}:80 -r 10.244.1.10:8080 -m -w 1" in servers(net, "n1")


SCHEDULERS = ("rr", "wlc", "sh", "mh", "dh", "sed", "nq", "lblc", "lblcr")


def scheduled(site: compiled.Site) -> compiled.Site:
    """Return *site* with a copy of the service `web` for each scheduler, which it is called by."""
    web = next(each for each in site.services if each.name == "web")
    copies = tuple(
        msgspec.structs.replace(
            web, name=name, scheduler=name, cluster_ips=(f"10.96.0.{number}", f"fd00:96::{number}")
        )
        for number, name in enumerate(SCHEDULERS, start=200)
    )
    services = sorted((*site.services, *copies), key=attrgetter("key"))
    return msgspec.structs.replace(site, services=tuple(services))


def test_nobody_is_refused_while_an_endpoint_is_leaving(net: World) -> None:
    """Whoever it is that the scheduler would lead there."""
    before = net.site
    net.site = scheduled(msgspec.structs.replace(before, ipvs=Settings("rr", 600)))
    try:
        net.apply()
        with contextlib.ExitStack() as kept:
            for name in SCHEDULERS:
                for _ in range(6):
                    to = address_of(net, name)
                    assert lives(kept.enter_context(connect(net.place("near"), to)))
            net.apply(frozenset({("default", "a"), ("default", "c")}))
            for name in SCHEDULERS:
                for client in ("near", "far", "a", "b", "n1"):
                    for _ in range(3):
                        assert ask_echo(net, client, name), (client, name)
    finally:
        net.site = before
        net.apply()


@contextlib.contextmanager
def asking(*who: Callable[[], str]) -> Iterator[list[str]]:
    """Ask again and again meanwhile; what went wrong is in the list.

    With pauses, since all share one CPU and one interpreter with what they watch.
    """
    wrong: list[str] = []
    ended = threading.Event()

    def loop(once: Callable[[], str]) -> None:
        while not ended.wait(0.02):
            if answer := once():
                wrong.append(answer)

    threads = [threading.Thread(target=loop, args=(each,)) for each in who]
    for each in threads:
        each.start()
    try:
        yield wrong
    finally:
        ended.set()
        for each in threads:
            each.join()


def test_a_live_node_is_switched_and_back_and_nobody_notices(net: World) -> None:
    """No established connection ends, and none is refused, whichever mode made it."""
    places = [(client, address_of(net, name)) for client in ("a", "n1", "near", "far")
              for name in ("web", "far")]  # fmt: skip

    def once(client: str, address: str) -> str:
        try:
            with connect(net.place(client), address) as connection:
                return "" if lives(connection) else f"{client} to {address}: no answer"
        except OSError as error:
            return f"{client} to {address}: {error}"

    with contextlib.ExitStack() as kept:
        by_ipvs = [kept.enter_context(connect(net.place(c), address)) for c, address in places]
        assert all(map(lives, by_ipvs))
        with asking(*(partial(once, *place) for place in places[:4])) as wrong:
            switched(net, "nftables")
            by_rules = [kept.enter_context(connect(net.place(c), a)) for c, a in places]
            for node in ("n1", "n2"):
                settle(net, node)
            assert all(map(lives, by_ipvs))
            assert all(map(lives, by_rules))
            switched(net, "ipvs")
            assert all(map(lives, by_ipvs))
            assert all(map(lives, by_rules))
        assert [] == wrong


def test_without_ipvs_the_rules_of_the_other_mode_stay(net: World) -> None:
    """A kernel without IPVS, or without its sysctls, as an agent finds it that is to switch."""
    switched(net, "nftables")
    netns = net.node("n1")
    settle(net, "n1")
    expire(net, "n1")
    settle(net, "n1")
    for reconciler in net.planes["n1"]:
        reconciler.forget()
    sysctl(netns, net__ipv4__vs__conntrack=0)
    try:
        net.site = in_mode(net.site, "ipvs")
        state = project(net.site, "n1", frozenset())
        for reconciler in net.planes["n1"][1:]:
            with pytest.raises(
                KernelRefused, match=r"vs\.conntrack is 0|groundplane-ipvs is not there"
            ):
                within(netns, partial(reconciler.apply, state))
        assert ask_echo(net, "near", "web")
    finally:
        sysctl(netns, net__ipv4__vs__conntrack=1)
    net.apply()
    assert "chain balance" in run(netns, "nft", "list", "table", "ip", "groundplane-services")
    assert ask_echo(net, "near", "web")


def test_what_leads_to_ipvs_is_put_back(net: World) -> None:
    netns = net.node("n1")
    ipvs = next(r for r in net.planes["n1"] if isinstance(r.plane, IpvsPlane))
    for damage in (
        ("nft", "flush", "ruleset"),
        ("ip", "rule", "del", "priority", "471"),
        ("ip", "-6", "route", "del", "local", "fd00:96::/112", "table", "7071"),
    ):
        run(netns, *damage)
        assert within(netns, ipvs.drift)
        for reconciler in net.planes["n1"]:
            reconciler.forget()
        net.apply()
        assert ask_echo(net, "near", "web")


def test_a_maintainer_sees_what_ipvs_has_and_what_leads_there(net: World, tmp_path: Path) -> None:
    every = commands_of_a_node()
    of_the_kernel = {n: command for n, command in every.items() if n.startswith("kernel/")}
    assert ask_echo(net, "near", "web")
    found = within(net.node("n1"), partial(collect, tmp_path, tmp_path, of_the_kernel))
    web = f"TCP  {address_of(net, 'web')}:80".encode()
    assert web in found["kernel/ipvs.txt"]
    assert web in found["kernel/ipvs-stats.txt"]
    assert b"432000 120 120" in found["kernel/ipvs-timeouts.txt"]
    for name in ("rules", "rules6"):
        assert b"fwmark 0x47400000/0xffc00000 lookup 7071" in found[f"kernel/{name}.txt"]
    assert b"local 10.96.0.0/16 dev lo table 7071" in found["kernel/routes.txt"]


def test_a_node_that_does_without_ipvs_is_left_with_nothing_of_it(net: World) -> None:
    with connect(net.place("near"), address_of(net, "web")) as connection:
        assert lives(connection)
        switched(net, "nftables")
        settle(net, "n1")
        assert lives(connection)
        assert 2 <= len(servers(net, "n1").splitlines())
    expire(net, "n1")
    assert "" == servers(net, "n1")
    settle(net, "n1")
    assert "groundplane-ipvs" not in run(net.node("n1"), "nft", "list", "tables")
    assert "7071" not in run(net.node("n1"), "ip", "rule") + run(net.node("n1"), "ip", "-6", "rule")
    switched(net, "ipvs")
    assert ask_echo(net, "near", "web")


def expire(net: World, node: str) -> None:
    """Let the time be over that what is leaving has."""
    for reconciler in net.planes[node]:
        if isinstance(reconciler.plane, IpvsPlane):
            reconciler.plane._clock = partial(_later, reconciler.plane._clock)
    settle(net, node)


def _later(clock: Callable[[], float]) -> float:
    return clock() + 601


def ask_echo(net: World, client: str, name: str) -> bool:
    with connect(net.place(client), address_of(net, name)) as connection:
        return lives(connection)
