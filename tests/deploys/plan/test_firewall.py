"""What firewalld and ufw have to let through, as their own commands."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.diagnosis import ufw as ufw_files
from groundplane.diagnosis.facts import Exposed
from groundplane.project.node import project_base
from groundplane.proxies import proxy_of
from groundplane.site.compiled import Overlay
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.facts.firewall import UfwRules
from groundplane_deploys.plan.firewall import (
    Openings,
    firewalld,
    firewalld_without,
    openings,
    ufw,
    ufw_without,
)
from tests.kernel.spaces import based

PAGE = (ROOT / "docs/coexistence.md").read_text()
BRIDGE = Openings(("groundplane0",), ())
IPVS = proxy_of("ipvs")
RANGES = based(service_cidrs=("10.96.0.0/16", "fd00:96::/112"), external_cidrs=())
TO_IPVS = IPVS.openings(RANGES, Exposed(node_ports=(("TCP", 30080),)))
BALANCED = Openings(("groundplane0",), (), TO_IPVS)
CHAINS = {"ip": "ufw-before-input", "ip6": "ufw6-before-input"}


def page(section: str, number: int = 0) -> list[str]:
    """Return the lines of a section's listing with that number."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return text.split("```\n")[1 + 2 * number].splitlines()


def test_firewalld_is_told_what_the_page_says() -> None:
    assert [*(make for _, make in firewalld(BRIDGE)), "firewall-cmd --reload"] == page("firewalld")


def test_firewalld_is_told_to_let_in_what_is_for_ipvs() -> None:
    """And to do so no more, on a node that goes back to the other mode."""
    told = [make for _, make in firewalld(BALANCED)][len([*firewalld(BRIDGE)]) :]
    assert [*told, "firewall-cmd --reload"] == page("firewalld", 1)
    asked = [ask for ask, _ in firewalld(BALANCED)]
    assert "firewall-cmd --permanent --policy=groundplane_ipvs --query-port=30080/tcp" in asked
    assert 0 == sum("--add" in ask for ask in asked)
    ((_, removal),) = IPVS.no_openings().firewalld
    assert "firewall-cmd --permanent --delete-policy=groundplane_ipvs" == removal


def test_the_policy_of_the_one_mode_is_not_taken_for_that_of_the_other(tmp_path: Path) -> None:
    ask = next(ask for ask, make in firewalld(BRIDGE) if make.endswith("--new-policy=groundplane"))
    firewall = tmp_path / "firewall-cmd"
    firewall.write_text("#!/bin/sh\necho allow-host-ipv6 groundplane_ipvs\n")
    firewall.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert 1 == subprocess.run(["sh", "-c", ask], env=environment, check=False).returncode


def test_ufws_files_get_the_rules_of_the_page_in_front_of_the_others_and_lose_them(
    tmp_path: Path,
) -> None:
    required = "*filter\n:{0} - [0:0]\n# End required lines\n"
    others = "\n-A {0} -i lo -j ACCEPT\nCOMMIT\n"
    lines = page("ufw", 1)
    for (ask, make), (ask_gone, unmake), line, (family, file) in zip(
        TO_IPVS.ufw, IPVS.no_openings().ufw, lines, ufw_files.FILES.items(), strict=True
    ):
        chain = CHAINS[family]
        mine = tmp_path / Path(file).name
        mine.write_text((required + others).format(chain))

        def holds(command: str, file: str = file, mine: Path = mine) -> bool:
            words = ["sh", "-c", command.replace(file, str(mine))]
            return subprocess.run(words, check=False).returncode == 0

        assert not holds(ask)
        assert holds(ask_gone)
        assert holds(make)
        assert f"{required.format(chain)}{line}\n{others.format(chain)}" == mine.read_text()
        assert holds(ask)
        assert not holds(ask_gone)
        assert holds(unmake)
        assert (required + others).format(chain) == mine.read_text()


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


def test_where_ipvs_balances_services_come_in(example: Path) -> None:
    site = compile_source(example)
    base = project_base(site, "n1")
    told = " ".join(make for _, make in openings(site, base).of_modes.firewalld)
    assert "add" not in told
    assert "--delete-policy=groundplane_ipvs" in told
    wanted = openings(site, msgspec.structs.replace(base, proxy_mode="ipvs"))
    told = " ".join(make for _, make in wanted.of_modes.firewalld)
    for cidr in (*base.service_cidrs, *base.external_cidrs):
        assert f"destination address={cidr} accept" in told
    ports = {(p.protocol.lower(), p.node_port) for s in site.services for p in s.ports}
    wanted_ports = {f"--add-port={number}/{name}" for name, number in ports if number}
    assert wanted_ports
    assert [] == [each for each in wanted_ports if each not in told]
