"""IPVS beside other programs' filters: what they drop, and what docs/coexistence.md says to add.

Needs root, and a kernel with IPVS (tests/vms/test_ipvs.py).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from groundplane.diagnosis import ufw
from groundplane.net.address import family_of
from groundplane.proxies.ipvs.firewall import MARKED
from groundplane.site import compiled
from tests.kernel.ipvs import in_mode, need_ipvs
from tests.kernel.spaces import own
from tests.kernel.test_doctor import as_nft
from tests.kernel.world import World, ask, run, world

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

DROPPED_S = 3.0  # after which nobody waits for what a filter drops
RULESETS = Path(__file__).with_name("rulesets")
PAGE = (Path(__file__).parents[2] / "docs/coexistence.md").read_text()


class Asked(NamedTuple):
    """From *client* by the node n1: a service, and the way to it as tests/conformance has it."""

    client: str
    service: str
    way: str = ""

    def __str__(self) -> str:
        return f"{self.client} to {self.service}{self.way}"


NAMES = ("a", "b", "c", "n1", "n2", "outside")
# Endpoints on the bridge, on another node, on the nodes' own network, and outside.
ASKED = [
    *(Asked(client, name) for client in ("a", "n1", "near") for name in ("self", "far", "host")),
    Asked("near", "outside"),
    *(Asked(client, "port", "@n1") for client in ("a", "n1", "near")),
    *(Asked(client, "balanced", "/balanced") for client in ("a", "near")),
    *(Asked(client, "external", "/external") for client in ("b", "near")),
    *(Asked("near", f"port-{place}", "@n1") for place in ("near", "host")),
]


@pytest.fixture(scope="module")
def built(site: compiled.Site) -> Iterator[World]:
    need_ipvs()
    with world(in_mode(site, "ipvs"), own("w")) as made:
        for name, port in (("a", 8080), ("b", 8081), ("c", 8080)):
            made.serve(made.workload(name), name, port)
        made.serve(made.client, "outside", 9000)
        for node in site.nodes:
            made.serve(made.node(node.name), node.name, 8090, node.addresses)
            made.serve(made.node(node.name), "sshd", 22)
        yield made


@pytest.fixture
def net(built: World) -> Iterator[World]:
    """Return the site; what a test loads on n1 beside our tables is gone after it."""
    yield built
    for line in run(built.node("n1"), "nft", "list", "tables").splitlines():
        if "groundplane" not in line:
            run(built.node("n1"), "nft", "delete", line)


def load(net: World, name: str) -> None:
    run(net.node("n1"), "nft", "-f", str(RULESETS / name))


def insert(net: World, *rules: str) -> None:
    for rule in rules:
        run(net.node("n1"), "nft", f"insert rule {rule}")


def wrong(net: World, patience: float = 10.0) -> list[str]:
    """Return who is not answered within *patience* seconds, in which family and protocol."""

    def once(each: tuple[Asked, str, str]) -> str:
        asked, family, protocol = each
        address, port = destination(net.site, asked, family, protocol)
        # Until one is lost: every endpoint of the services with several is asked.
        answers: list[str] = []
        while len(answers) < 3 and all(each.split()[0] in NAMES for each in answers):
            place = net.place(asked.client)
            answers += ask(place, address, port, protocol, patience=patience)
        bad = [answer for answer in answers if answer.split()[0] not in NAMES]
        return f"{asked}, {family} {protocol}: {bad[0]}" if bad else ""

    every = [(each, f, p) for each in ASKED for f in ("IPv4", "IPv6") for p in ("TCP", "UDP")]
    with ThreadPoolExecutor(24) as threads:
        return [line for line in threads.map(once, every) if line]


def destination(site: compiled.Site, asked: Asked, family: str, protocol: str) -> tuple[str, int]:
    service = next(each for each in site.services if each.name == asked.service)
    port = next(each for each in service.ports if each.protocol == protocol)
    ways = {
        "": service.cluster_ips,
        "/external": service.external_ips,
        "/balanced": service.load_balancer_ips,
        "@n1": next(each.addresses for each in site.nodes if each.name == "n1"),
    }
    address = next(each for each in ways[asked.way] if family_of(each) == family)
    return address, port.node_port if asked.way == "@n1" else port.port


def test_alone(net: World) -> None:
    assert [] == wrong(net)


def test_a_filter_written_by_hand_with_the_rules_that_the_page_says(net: World) -> None:
    load(net, "strict.nft")
    assert clients(wrong(net, DROPPED_S)) == {
        "a",
        "b",
        "near",
    }  # what the node itself sends is not filtered
    insert(net, *page("A filter written by hand"))
    assert [] == wrong(net)


def test_ufw_with_the_rules_that_the_page_says(net: World) -> None:
    """It drops what no device has the address of before it asks the rules that `ufw allow` makes."""
    load(net, "ufw.nft")
    insert(
        net,
        "ip filter ufw-user-input ip daddr 10.96.0.0/16 accept",
        "ip6 filter ufw6-user-input ip6 daddr fd00:96::/112 accept",
        "ip filter ufw-user-forward iifname groundplane0 accept",
        "ip6 filter ufw6-user-forward iifname groundplane0 accept",
    )
    lost = wrong(net, DROPPED_S)
    assert {"a", "b", "near"} == clients(lost)
    assert any("a to self, IPv4" in line for line in lost)
    for family in ufw.FILES:
        rule = ufw.rule(family, "input", MARKED[1])
        assert rule in PAGE
        program = "ip6tables" if family == "ip6" else "iptables"
        words = rule.split()
        run(net.node("n1"), "nft", as_nft(program, ["-I", *words[1:]]))
    assert [] == wrong(net)


def test_firewalld_with_the_commands_that_the_page_says(net: World) -> None:
    load(net, "firewalld-trusted.nft")
    assert {"near"} == clients(wrong(net, DROPPED_S))
    run(net.node("n1"), "nft", "delete table inet firewalld")
    load(net, "firewalld-ipvs.nft")
    place = "inet firewalld filter_IN_policy_groundplane_ipvs_allow"
    ports = {(p.protocol.lower(), p.node_port) for s in net.site.services for p in s.ports}
    for protocol, port in ports - {("tcp", 30080)}:  # what `--add-port` of each comes to
        if port:
            insert(net, f"{place} {protocol} dport {port} accept")
    assert [] == wrong(net)


def test_docker_with_the_rules_that_the_page_says(net: World) -> None:
    load(net, "docker.nft")
    assert {"a", "b", "near"} == clients(wrong(net, DROPPED_S))
    for program in ("iptables", "ip6tables"):
        line = "-I DOCKER-USER -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
        assert f"{program} {line}" in PAGE
        run(net.node("n1"), "nft", as_nft(program, line.split()))
    assert [] == wrong(net)


def clients(lost: list[str]) -> set[str]:
    return {line.split()[0] for line in lost}


def page(section: str) -> list[str]:
    """Return the rules for IPVS of docs/coexistence.md, as `nft insert rule` has them."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("nft insert rule ")]
    return [line.removeprefix("nft insert rule ") for line in lines]
