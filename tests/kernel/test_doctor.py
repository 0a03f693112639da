"""The doctor on a node with rulesets as Docker, firewalld and administrators load them.

Needs root: namespaces and nf_tables. What a finding's remedy says is done as it is printed, and
the finding is gone then.
"""

import re
import shlex
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from groundplane.doctor import Exposed, Finding, diagnose, gather
from tests.kernel import spaces
from tests.kernel.world import ip, run, sysctl, within
from tests.rulesets import tables_of
from tests.states import BASE

pytestmark = pytest.mark.kernel

RULESETS = Path(__file__).with_name("rulesets")
EXPOSED = Exposed(
    addresses=("203.0.113.9",),
    node_ports=(("TCP", 30080), ("UDP", 30053)),
    health_check_ports=(32000,),
)


class Node:
    """A node on which nothing is in the way, until something is put there."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        for address, subnet in zip(BASE.bridge_addresses, BASE.subnets, strict=True):
            ip(f"-n {netns} address add {address}/{subnet.split('/')[1]} dev groundplane0")
        for cidr in BASE.service_cidrs:
            ip(f"-n {netns} route add {cidr} dev groundplane0 proto 71")
        sysctl(
            netns,
            net__ipv4__ip_forward=1,
            net__ipv6__conf__all__forwarding=1,
            net__ipv4__conf__all__send_redirects=0,
            net__ipv4__conf__groundplane0__send_redirects=0,
            net__ipv4__conf__all__rp_filter=0,
            net__ipv4__conf__groundplane0__rp_filter=0,
            net__ipv4__conf__uplink__rp_filter=0,
            net__netfilter__nf_conntrack_tcp_be_liberal=1,
        )
        self.load("; ".join(f"table {each} {{}}" for each in tables_of(BASE)))

    def load(self, script: str) -> None:
        run(self.netns, "nft", script)

    def file(self, name: str) -> None:
        run(self.netns, "nft", "-f", str(RULESETS / name))

    def findings(self, exposed: Exposed = EXPOSED) -> list[Finding]:
        return diagnose(BASE, within(self.netns, gather), exposed)

    def told(self) -> list[tuple[str, str]]:
        return [(each.severity, each.subject) for each in self.findings()]

    def obey(self) -> None:
        """Run what every finding says, but what is of firewalld."""
        for finding in self.findings():
            for command in commands(finding):
                self._run(shlex.split(command))

    def _run(self, words: list[str]) -> None:
        program, *arguments = words
        if program in ("iptables", "ip6tables"):  # it may not be here: what it comes to in nft
            self.load(as_nft(program, arguments))
        elif program == "sysctl":
            for setting in arguments[1:]:
                name, _, value = setting.partition("=")
                path = Path("/proc/sys", *name.split("."))
                within(self.netns, partial(path.write_text, value))
        else:
            run(self.netns, *words)


def commands(finding: Finding) -> list[str]:
    return re.findall("`([^`]+)`", finding.remedy)


_OPTIONS = {
    "-s": "saddr {}",
    "-d": "daddr {}",
    "-i": "iifname {}",
    "-p": "meta l4proto {}",
    "--ctstate": "ct {}",
    "--mark": "meta mark {}",
    "--label": "ct label {}",
    "--dport": "th dport {}",
    "-j": "{}",
}


def as_nft(program: str, arguments: list[str]) -> str:
    """Return what `iptables -I CHAIN ...` adds, in the words of nft (iptables-translate(8))."""
    family = "ip" if program == "iptables" else "ip6"
    assert "-I" == arguments[0]
    parts = [f"insert rule {family} filter {arguments[1]}"]
    for option, value in zip(arguments[2::2], arguments[3::2], strict=True):
        if option == "-m":
            continue
        prefix = f"{family} " if option in ("-s", "-d") else ""
        said = value.lower() if value.replace(",", "").isupper() else value
        if option == "--ctstate":
            said = f"status {said}" if said == "dnat" else f"state {said}"
        if option == "--mark":
            wanted, mask = value.split("/")
            said = f"and {mask} == {wanted}"
        parts.append(prefix + _OPTIONS[option].format(said))
    return " ".join(parts)


@pytest.fixture
def node() -> Iterator[Node]:
    with spaces.node("doctor") as netns:
        yield Node(netns)


@pytest.fixture
def bridged(node: Node) -> bool:
    """Whether this kernel sends bridged frames through the forward hook of IP."""
    return node.findings() == [] and "1" == within(
        node.netns, lambda: _read("/proc/sys/net/bridge/bridge-nf-call-iptables")
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except FileNotFoundError:
        return ""


def test_nothing_is_in_the_way_of_a_bare_node(node: Node) -> None:
    assert [] == node.findings()


def test_docker(node: Node, bridged: bool) -> None:
    node.file("docker.nft")
    settings = ["ip6tables", "iptables"] if bridged else []
    assert [
        ("error", "table ip filter, chain FORWARD"),
        ("error", "table ip6 filter, chain FORWARD"),
        *(("warning", f"sysctl net.bridge.bridge-nf-call-{name}") for name in settings),
    ] == node.told()
    node.obey()
    assert [] == node.told()


def test_a_filter_written_by_hand(node: Node, bridged: bool) -> None:
    node.file("strict.nft")
    settings = ["ip6tables", "iptables"] if bridged else []
    assert [
        ("error", "table inet filter, chain forward"),
        ("error", "table inet filter, chain input"),
        *(("warning", f"sysctl net.bridge.bridge-nf-call-{name}") for name in settings),
    ] == node.told()
    node.obey()
    assert [] == node.told()


def test_bridged_frames_are_let_through_by_the_rules_alone(node: Node) -> None:
    """The setting is another program's, as Docker's, and need not be changed for us."""
    node.file("strict.nft")
    for command in ("ct status dnat", "iifname groundplane0", "oifname groundplane0"):
        node.load(f"insert rule inet filter forward {command} accept")
    assert [("error", "table inet filter, chain input")] == node.told()


def test_firewalld(node: Node) -> None:
    node.file("firewalld.nft")
    forward, entering = node.findings()
    assert "table inet firewalld, chain filter_FORWARD" == forward.subject
    assert "table inet firewalld, chain filter_INPUT" == entering.subject
    # What firewalld itself made of just these commands is recorded.
    recorded = (RULESETS / "firewalld-trusted.nft").read_text().splitlines()
    assert commands(forward) == [line[4:] for line in recorded if line.startswith("#   ")]
    node.load("delete table inet firewalld")
    node.file("firewalld-trusted.nft")
    port = "firewall-cmd --permanent --add-port=32000/tcp"
    assert [[port, "firewall-cmd --reload"]] == [commands(each) for each in node.findings()]
    assert [] == node.findings(Exposed())


def test_a_rule_that_keeps_names_from_being_tracked(node: Node) -> None:
    node.load(
        "table inet raw { chain prerouting { type filter hook prerouting priority raw; "
        "udp dport 53 counter notrack; udp sport 53 notrack; }; }"
    )
    assert [("error", "table inet raw, chain prerouting")] == node.told()
    node.obey()
    assert [] == node.told()
    assert "udp sport 53" in run(node.netns, "nft", "list", "table", "inet", "raw")


def test_a_published_port_that_is_a_node_port(node: Node) -> None:
    node.file("docker.nft")
    node.obey()
    node.load('add rule ip nat DOCKER iifname != "docker0" tcp dport 30080 dnat to 172.17.0.2:80')
    assert [
        ("error", "table ip nat, chain OUTPUT"),
        ("error", "table ip nat, chain PREROUTING"),
    ] == node.told()


def test_elements_of_sets_are_looked_at(node: Node) -> None:
    """What a set holds decides, as where an administrator lists trusted ranges."""
    node.load(
        "table ip guard { set trusted { type ipv4_addr; flags interval; "
        "elements = { 10.0.0.0/8, 192.0.2.0/24 }; }; "
        "map ways { type ifname : verdict; elements = { groundplane0 : accept }; }; "
        "chain forward { type filter hook forward priority 0; policy drop; "
        "ct state vmap { established : accept, related : accept, invalid : drop }; "
        "iifname vmap @ways; ip saddr @trusted accept; }; }"
    )
    assert [] == node.findings(Exposed())
    node.load("delete element ip guard trusted { 192.0.2.0/24 }")
    (finding,) = node.findings(Exposed())
    assert finding.message.endswith(": what other nodes masquerade to workloads of this one.")


def test_settings_addresses_routes_and_listeners(node: Node) -> None:
    sysctl(
        node.netns,
        net__ipv4__ip_forward=0,
        net__ipv6__conf__uplink__forwarding=0,
        net__ipv4__conf__groundplane0__send_redirects=1,
    )
    local = Path("/proc/sys/net/ipv4/ip_local_port_range")
    within(node.netns, partial(local.write_text, "1024 65535"))
    ip(
        f"-n {node.netns} address add 10.96.0.10/32 dev lo",
        f"-n {node.netns} address add 203.0.113.9/32 dev uplink",
        f"-n {node.netns} route add 10.96.0.128/25 dev uplink",
        f"-n {node.netns} route add blackhole fd00:244:0:2::/80",
    )
    listener = within(node.netns, lambda: socket.create_server(("", 30080)))
    with listener:
        assert [
            ("error", "address 10.96.0.10 on lo"),
            ("error", "route fd00:244:0:2::/80 dev lo"),
            ("error", "sysctl net.ipv4.ip_forward"),
            ("error", "sysctl net.ipv6.conf.uplink.forwarding"),
            ("warning", "address 203.0.113.9 on uplink"),
            ("warning", "listener on 0.0.0.0 port 30080/TCP"),
            ("warning", "route 10.96.0.128/25 dev uplink"),
            ("warning", "sysctl net.ipv4.conf.groundplane0.send_redirects"),
            ("warning", "sysctl net.ipv4.ip_local_port_range"),
        ] == node.told()
        for finding in node.findings():
            if not finding.subject.startswith("listener"):
                node._run(shlex.split(commands(finding)[0]))
        assert [("warning", "listener on 0.0.0.0 port 30080/TCP")] == node.told()
    assert [] == node.told()


def test_a_node_without_its_bridge_or_tables(node: Node) -> None:
    run(node.netns, "nft", "flush", "ruleset")
    ip(f"-n {node.netns} link del groundplane0")
    assert [
        ("error", "interface groundplane0"),
        *(("error", f"table {each}") for each in sorted(map(str, tables_of(BASE)))),
    ] == node.told()


def test_a_policy_rule_that_takes_what_is_for_ipvs(node: Node) -> None:
    """wg-quick's rule stands before all others; with a priority behind ours it takes nothing."""
    base = replace(BASE, proxy_mode="ipvs")
    theirs = "not fwmark 0xca6c lookup 51820"
    ip(f"-n {node.netns} rule add fwmark 0x47400000/0xffc00000 lookup 7071 priority 471")
    ip(f"-n {node.netns} route add default dev uplink table 51820")

    def told() -> list[tuple[str, str]]:
        found = diagnose(base, within(node.netns, gather), EXPOSED)
        return [(e.severity, e.subject) for e in found if "policy rule" in e.subject]

    assert [] == told()
    ip(f"-n {node.netns} rule add {theirs}")
    assert [("error", "IPv4 policy rule 470")] == told()
    ip(f"-n {node.netns} rule delete {theirs}")
    ip(f"-n {node.netns} rule add {theirs} priority 500")
    assert [] == told()
