"""What firewalld and ufw have to let through, as their own commands."""

from pathlib import Path

import pytest

from deploys.catalog import ROOT
from deploys.facts.firewall import UfwRules
from deploys.firewall import Openings, firewalld, firewalld_without, openings, ufw, ufw_without
from groundplane.model.compiled import Overlay
from groundplane.pipeline import compile_source
from groundplane.project.node import project_base
from tests.kernel.spaces import based

PAGE = (ROOT / "docs/coexistence.md").read_text()
BRIDGE = Openings(("groundplane0",), ())


def page(section: str) -> list[str]:
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return text.split("```\n")[1].splitlines()


def test_firewalld_is_told_what_the_page_says() -> None:
    assert [*(make for _, make in firewalld(BRIDGE)), "firewall-cmd --reload"] == page("firewalld")


def test_ufw_is_told_what_the_page_says() -> None:
    wanted = Openings(("groundplane0",), (("tcp", 7),))
    said = [line.split("  ")[0].replace("PORT", "7") for line in page("ufw")]
    assert said == list(ufw(wanted, ()))


def test_ufw_is_told_nothing_twice() -> None:
    shown = ["Added user rules (see 'ufw status' for running firewall):", *ufw(BRIDGE, ())]
    rules = UfwRules().process(["on", *shown])
    assert rules is not None
    assert [] == list(ufw(BRIDGE, rules))
    assert UfwRules().process([]) is None


def test_what_was_told_is_taken_back() -> None:
    rules = [*ufw(Openings(("groundplane0",), (("tcp", 7),)), ())]
    assert [
        "ufw route delete allow in on groundplane0",
        "ufw route delete allow out on groundplane0",
        "ufw delete allow in on groundplane0 to any port 53",
    ] == list(ufw_without(("groundplane0", "groundplane1"), rules))
    commands = [make for _, make in firewalld_without(("groundplane0",))]
    assert [
        "firewall-cmd --permanent --delete-policy=groundplane",
        "firewall-cmd --permanent --zone=trusted --remove-interface=groundplane0",
    ] == commands


@pytest.fixture
def example() -> Path:
    return ROOT / "examples" / "lab"


def test_ports_are_those_that_services_ask_of_the_node_itself(example: Path) -> None:
    site = compile_source(example)
    health = {("tcp", s.health_check_port) for s in site.services if s.health_check_port}
    assert health
    # Of n1 itself a workload is asked at two ports, of n3 another one at a third.
    own = {"n1": {("tcp", 8081), ("tcp", 9001)}, "n3": {("tcp", 8099)}}
    for node, ports in own.items():
        assert health | ports == {*openings(site, project_base(site, node)).ports}


def test_tunnels_come_in(example: Path) -> None:
    base = based(overlay=Overlay("vxlan", 7071, 4790))
    wanted = openings(compile_source(example), base)
    assert ("groundplane0", "groundplane1") == wanted.links
    assert ("udp", 4790) in wanted.ports
