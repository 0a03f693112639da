"""Findings of the filters of others, from facts as data."""

from typing import Any

import pytest
from msgspec.structs import replace

from groundplane.doctor import (
    AddressFact,
    Exposed,
    Facts,
    HostPort,
    diagnose,
    exposed,
)
from groundplane.project.state import NodeBase
from groundplane.site import compiled
from groundplane.site.compiled import Overlay
from tests.doctor.findings import EXPOSED, NOTHING, commands, found, the
from tests.doctor.written import (
    ACCEPT,
    DROP,
    ESTABLISHED,
    TRANSLATED,
    daddr,
    dport,
    iif,
    match,
    oif,
    rules,
)
from tests.kernel.spaces import based
from tests.states import BASE


def test_a_forward_chain_that_accepts_nothing_of_ours() -> None:
    finding = the(rules("forward", [ESTABLISHED, ACCEPT]), EXPOSED)
    assert ("error", "table inet filter, chain forward") == (finding.severity, finding.subject)
    assert finding.message == (
        "It drops IPv4 and IPv6 by its policy drop: workloads to services; clients outside to "
        "services; clients outside to services whose endpoints are on other nodes; workloads to "
        "those of other nodes; workloads of other nodes to those of this one; what other nodes "
        "masquerade to workloads of this one; workloads to addresses outside."
    )
    assert [
        "nft insert rule inet filter forward ct status dnat accept",
        "nft insert rule inet filter forward iifname groundplane0 accept",
        "nft insert rule inet filter forward oifname groundplane0 accept",
    ] == commands(finding)


def test_a_chain_of_one_family_is_told_for_it_alone() -> None:
    assert "drops IPv6 by" in the(rules("forward", family="ip6")).message


@pytest.mark.parametrize(
    "written",
    [
        [[ACCEPT]],
        [[iif("groundplane0"), ACCEPT], [oif("groundplane0"), ACCEPT], [TRANSLATED, ACCEPT]],
        [[ESTABLISHED, ACCEPT], [TRANSLATED, ACCEPT], [iif("ground*"), ACCEPT], [oif("*"), ACCEPT]],
    ],
)
def test_a_forward_chain_that_accepts_ours(written: list[list[dict[str, Any]]]) -> None:
    assert [] == found(rules("forward", *written), EXPOSED)


def test_a_remedy_has_only_what_is_missing() -> None:
    facts = rules("forward", [iif("groundplane0"), ACCEPT], [TRANSLATED, ACCEPT])
    assert ["nft insert rule inet filter forward oifname groundplane0 accept"] == commands(
        the(facts)
    )


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({}, "nft insert rule inet filter forward ct status dnat accept"),
        (
            {"family": "ip", "name": "FORWARD", "chains": ("ufw-before-forward",)},
            (
                "sed -i '/^# End required lines/a -A ufw-before-forward -m conntrack --ctstate DNAT "
                "-j ACCEPT' /etc/ufw/before.rules"
            ),
        ),
        (
            {"family": "ip", "name": "FORWARD", "chains": ("DOCKER-USER",)},
            "iptables -I DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT",
        ),
    ],
)
def test_a_node_port_whose_endpoints_are_on_other_nodes_passes_from_link_to_link(
    place: dict[str, Any], told: str
) -> None:
    """It neither comes from the bridge nor goes there."""
    bridge = [[iif("groundplane0"), ACCEPT], [oif("groundplane0"), ACCEPT]]
    finding = the(rules("forward", *bridge, **place), EXPOSED)
    assert "warning" == finding.severity
    assert "clients outside to services whose endpoints are on other nodes" in finding.message
    assert told in commands(finding)


def test_what_has_an_end_outside_is_a_warning() -> None:
    peers = match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.2")
    workloads = {"prefix": {"addr": "10.244.0.0", "len": 16}}
    ours = match({"payload": {"protocol": "ip", "field": "saddr"}}, workloads)
    accepted = [[iif("groundplane0"), ACCEPT], [oif("groundplane0"), ours, ACCEPT], [peers, ACCEPT]]
    finding = the(rules("forward", *accepted, [ESTABLISHED, ACCEPT], family="ip"), EXPOSED)
    told = (
        "It may drop IPv4 by its policy drop: clients outside to services; "
        "clients outside to services whose endpoints are on other nodes."
    )
    assert ("warning", told) == (finding.severity, finding.message)
    finding = the(
        rules("input", [dport("udp", 53), ACCEPT], [dport("tcp", 53), ACCEPT], family="ip"), EXPOSED
    )
    told = "It drops IPv4 by its policy drop: health checks on port 32000."
    assert ("warning", told) == (finding.severity, finding.message)


def test_a_rule_that_cannot_be_judged_makes_it_a_perhaps() -> None:
    limit = {"limit": {"rate": 5, "per": "second"}}
    finding = the(rules("forward", [limit, ACCEPT]))
    assert "warning" == finding.severity
    assert finding.message.startswith("It may drop IPv4 and IPv6 by its policy drop: ")


def test_what_is_lost_and_what_may_be_are_apart() -> None:
    limit = {"limit": {"rate": 5, "per": "second"}}
    drops, may = diagnose(
        BASE, rules("forward", [iif("groundplane0"), limit, ACCEPT], family="ip6"), NOTHING
    )
    assert ("error", "warning") == (drops.severity, may.severity)
    assert "workloads to services" not in drops.message
    assert "workloads to services" in may.message


def test_a_reject_at_the_end_of_an_accepting_chain() -> None:
    reject = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
    assert "by a drop or reject rule" in the(rules("forward", [reject], policy="accept")).message


def test_docker_has_a_chain_for_others() -> None:
    facts = rules("forward", family="ip", name="FORWARD", chains=("DOCKER", "DOCKER-USER"))
    assert [
        "iptables -I DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT",
        "iptables -I DOCKER-USER -s 10.244.0.0/16 -j ACCEPT",
        "iptables -I DOCKER-USER -d 10.244.0.0/16 -j ACCEPT",
    ] == commands(the(facts))


def test_iptables() -> None:
    forward = the(rules("forward", family="ip6", name="FORWARD"))
    assert "ip6tables -I FORWARD -s fd00:244::/48 -j ACCEPT" in commands(forward)
    entering = the(rules("input", family="ip6", name="INPUT"), EXPOSED)
    assert [
        "ip6tables -I INPUT -i groundplane0 -p udp --dport 53 -j ACCEPT",
        "ip6tables -I INPUT -i groundplane0 -p tcp --dport 53 -j ACCEPT",
        "ip6tables -I INPUT -i groundplane0 -p ipv6-icmp -j ACCEPT",
        "ip6tables -I INPUT -p tcp --dport 32000 -j ACCEPT",
    ] == commands(entering)
    early = the(rules("prerouting", family="ip", table="raw", name="PREROUTING", priority=-300))
    assert ["iptables -t raw -I PREROUTING -s 10.244.0.0/16 -j ACCEPT"] == commands(early)


def test_firewalld_takes_the_bridge_into_a_zone_and_a_policy() -> None:
    place = {"table": "firewalld", "policy": "accept"}
    forward = the(rules("forward", [DROP], **place))  # type: ignore[arg-type]
    assert [
        "firewall-cmd --permanent --zone=trusted --add-interface=groundplane0",
        "firewall-cmd --permanent --new-policy=groundplane",
        "firewall-cmd --permanent --policy=groundplane --set-target=ACCEPT",
        "firewall-cmd --permanent --policy=groundplane --add-ingress-zone=ANY",
        "firewall-cmd --permanent --policy=groundplane --add-egress-zone=trusted",
        "firewall-cmd --reload",
    ] == commands(forward)
    entering = the(rules("input", [DROP], **place), EXPOSED)  # type: ignore[arg-type]
    assert [
        "firewall-cmd --permanent --zone=trusted --add-interface=groundplane0",
        "firewall-cmd --permanent --add-port=32000/tcp",
        "firewall-cmd --reload",
    ] == commands(entering)


def test_ufw() -> None:
    place = {"family": "ip", "chains": ("ufw-before-forward",)}
    assert [
        "ufw route allow in on groundplane0",
        "ufw route allow out on groundplane0",
    ] == commands(the(rules("forward", name="FORWARD", **place)))  # type: ignore[arg-type]
    assert ["ufw allow in on groundplane0 to any port 53", "ufw allow 32000/tcp"] == commands(
        the(rules("input", name="INPUT", **place), EXPOSED)  # type: ignore[arg-type]
    )
    assert ["ufw allow out on groundplane0"] == commands(
        the(rules("output", name="OUTPUT", **place))  # type: ignore[arg-type]
    )


def test_an_input_chain_drops_names_and_health_checks() -> None:
    finding = the(rules("input", [ESTABLISHED, ACCEPT]), EXPOSED)
    assert ("error", "table inet filter, chain input") == (finding.severity, finding.subject)
    assert finding.message == (
        "It drops IPv4 and IPv6 by its policy drop: names asked by workloads; health checks on "
        "port 32000; neighbour discovery of workloads."
    )
    assert [
        "nft insert rule inet filter input iifname groundplane0 udp dport 53 accept",
        "nft insert rule inet filter input iifname groundplane0 tcp dport 53 accept",
        "nft insert rule inet filter input tcp dport 32000 accept",
        "nft insert rule inet filter input iifname groundplane0 meta l4proto ipv6-icmp accept",
    ] == commands(finding)


HOST_PORTS = Exposed(
    host_ports=(HostPort("TCP", "192.0.2.1", 8081), HostPort("UDP", "2001:db8::1", 5300))
)


def test_an_input_chain_drops_what_services_send_to_endpoints_on_the_nodes_network() -> None:
    dns = [[iif("groundplane0"), ACCEPT]]
    finding = the(rules("input", *dns), HOST_PORTS)
    assert ("error", "table inet filter, chain input") == (finding.severity, finding.subject)
    assert finding.message == (
        "It drops IPv4 and IPv6 by its policy drop: services to port 8081 of this node; "
        "services to port 5300 of this node."
    )
    assert [
        "nft insert rule inet filter input tcp dport 8081 accept",
        "nft insert rule inet filter input udp dport 5300 accept",
    ] == commands(finding)
    assert [] == found(
        rules("input", *dns, [dport("tcp", 8081), ACCEPT], [dport("udp", 5300), ACCEPT]),
        HOST_PORTS,
    )
    translated = the(rules("input", [TRANSLATED, ACCEPT], [iif("uplink"), ACCEPT]), HOST_PORTS)
    assert "services to port" not in translated.message


def test_what_services_ask_of_a_node_is_told_by_its_addresses() -> None:
    ports = (compiled.Port("http", "TCP", 80, 2, 30080), compiled.Port("dns", "UDP", 53, 4))
    places = [
        compiled.Endpoint("a", "n1", "", "192.0.2.1", "2001:db8::1", (8081, 5300)),
        compiled.Endpoint("b", "n1", "", "192.0.2.1", "", (0, 5301)),
        compiled.Endpoint("c", "n2", "", "192.0.2.2", "", (8082, 5302)),
        compiled.Endpoint("d", "n1", "", "10.244.1.10", "", (8080, 5353)),
    ]
    services = [
        compiled.Service("default", "some", ports=ports, endpoints=compiled.columns(places)),
        compiled.Service("default", "none", health_check_port=32000),
    ]
    asked = exposed(services, ["192.0.2.1", "2001:db8::1"])
    assert (("TCP", 30080),) == asked.node_ports
    assert (32000,) == asked.health_check_ports
    assert (
        HostPort("TCP", "192.0.2.1", 8081),
        HostPort("TCP", "2001:db8::1", 8081),
        HostPort("UDP", "192.0.2.1", 5300),
        HostPort("UDP", "192.0.2.1", 5301),
        HostPort("UDP", "2001:db8::1", 5300),
    ) == asked.host_ports
    assert () == exposed(services, ["192.0.2.9"]).host_ports
    assert () == asked.direct
    direct = compiled.Service(
        "default", "direct", endpoints=compiled.columns(places[2:]), forwarding="direct"
    )
    assert ("10.244.1.10", "192.0.2.2") == exposed([direct], []).direct


def test_an_output_chain_drops_what_the_node_asks_of_services() -> None:
    finding = the(rules("output", [ESTABLISHED, ACCEPT]))
    assert "the node itself to services" in finding.message
    assert [
        "nft insert rule inet filter output ct status dnat accept",
        "nft insert rule inet filter output oifname groundplane0 accept",
    ] == commands(finding)


@pytest.mark.parametrize(("priority", "address"), [(-300, "10.96.0.10"), (0, "10.244.1.11")])
def test_a_chain_before_the_translation_sees_the_service(priority: int, address: str) -> None:
    facts = rules("prerouting", [daddr(address), DROP], priority=priority, policy="accept")
    assert [("error", "table inet filter, chain prerouting")] == found(facts)
    facts = rules("prerouting", [daddr(address), DROP], priority=-300 - priority, policy="accept")
    assert [] == found(facts)


@pytest.mark.parametrize(
    "facts",
    [
        rules("forward", family="bridge"),
        rules("forward", family="netdev"),
        rules("forward", table="groundplane", family="ip"),
        rules("postrouting"),
        rules("forward", kind="route"),
    ],
)
def test_chains_that_are_not_looked_at(facts: Facts) -> None:
    assert [] == found(facts)


@pytest.mark.parametrize(
    ("family", "setting"),
    [("ip", "bridge-nf-call-iptables"), ("ip6", "bridge-nf-call-ip6tables")],
)
def test_bridged_frames_in_a_dropping_chain(family: str, setting: str) -> None:
    facts = rules("forward", family=family)
    both = {"net/bridge/bridge-nf-call-iptables": "1", "net/bridge/bridge-nf-call-ip6tables": "1"}
    findings = diagnose(BASE, replace(facts, sysctls={**facts.sysctls, **both}), NOTHING)
    assert [
        ("error", f"table {family} filter, chain forward"),
        ("warning", f"sysctl net.bridge.{setting}"),
    ] == [(each.severity, each.subject) for each in findings]
    assert [f"sysctl -w net.bridge.{setting}=0"] == commands(findings[1])
    accepting = rules("forward", [ACCEPT], family=family)
    assert [] == found(replace(accepting, sysctls={**facts.sysctls, **both}))


def tunnelled(peer: str = "192.0.2.2", overlay: Overlay | None = None) -> NodeBase:
    """Return a base whose packets to n2's workloads go through tunnels to the address *peer*."""
    return based(
        overlay=overlay or Overlay("vxlan", 7071, 4790),
        peers=(replace(BASE.peers[0], tunnel=peer),),
    )


def with_overlay(facts: Facts) -> Facts:
    return replace(
        facts,
        interfaces={**facts.interfaces, "groundplane1": True},
        addresses=(
            *facts.addresses,
            AddressFact("groundplane1", "10.244.1.1", 32),
            AddressFact("groundplane1", "fd00:244:0:1::1", 128),
        ),
    )


def test_what_comes_by_the_overlay_is_judged_there() -> None:
    """A filter that trusts the uplink is in the way of tunnelled packets all the same."""
    uplink = rules("forward", [iif("uplink"), ACCEPT], [oif("uplink"), ACCEPT])
    finding = the(with_overlay(uplink), base=tunnelled())
    assert "workloads to those of other nodes" in finding.message
    both = rules("forward", [iif("groundplane*"), ACCEPT], [oif("groundplane*"), ACCEPT])
    assert [] == found(with_overlay(both), base=tunnelled())


FROM_WORKLOADS, TO_WORKLOADS = [iif("groundplane0"), ACCEPT], [oif("groundplane0"), ACCEPT]


@pytest.mark.parametrize(
    ("base", "family", "port"),
    [
        (tunnelled(), "IPv4", 4790),
        (tunnelled("2001:db8::2"), "IPv6", 4790),
        (tunnelled(overlay=Overlay("wireguard", 7071, 51871)), "IPv4", 51871),
    ],
    ids=["IPv4", "IPv6", "WireGuard"],
)
def test_tunnels_pass_input_and_output(base: NodeBase, family: str, port: int) -> None:
    entering = the(with_overlay(rules("input", FROM_WORKLOADS)), base=base)
    told = f"It drops {family} by its policy drop: tunnels from other nodes."
    assert ("error", told) == (entering.severity, entering.message)
    assert [f"nft insert rule inet filter input udp dport {port} accept"] == commands(entering)
    leaving = the(with_overlay(rules("output", TO_WORKLOADS, [TRANSLATED, ACCEPT])), base=base)
    assert f"It drops {family} by its policy drop: tunnels to other nodes." == leaving.message
    assert [f"nft insert rule inet filter output udp dport {port} accept"] == commands(leaving)


def test_tunnels_are_let_in_by_their_port_from_other_nodes_or_anybody() -> None:
    peers = match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.2")
    for port in ([dport("udp", 4790), ACCEPT], [peers, dport("udp", 4790), ACCEPT]):
        facts = with_overlay(rules("input", FROM_WORKLOADS, port))
        assert [] == found(facts, base=tunnelled())


def test_firewalld_and_ufw_open_the_port_of_tunnels() -> None:
    firewalld = rules("input", FROM_WORKLOADS, table="firewalld")
    assert [
        "firewall-cmd --permanent --add-port=4790/udp",
        "firewall-cmd --reload",
    ] == commands(the(with_overlay(firewalld), base=tunnelled()))
    place = {"family": "ip", "chains": ("ufw-before-forward",)}
    entering = rules("input", FROM_WORKLOADS, name="INPUT", **place)  # type: ignore[arg-type]
    assert ["ufw allow 4790/udp"] == commands(the(with_overlay(entering), base=tunnelled()))
    leaving = rules("output", TO_WORKLOADS, name="OUTPUT", **place)  # type: ignore[arg-type]
    assert ["ufw allow out 4790/udp"] == commands(the(with_overlay(leaving), base=tunnelled()))
