"""Every finding, from facts as data."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from groundplane.dataplanes.links.routes import PROTOCOL
from groundplane.dataplanes.nftables.maps import TABLE
from groundplane.doctor import (
    Address,
    Exposed,
    Facts,
    Finding,
    HostPort,
    Listener,
    Route,
    diagnose,
    exposed,
    network,
    ruleset,
)
from groundplane.model import compiled
from groundplane.project.state import NodeBase
from tests.states import BASE, of_family

OURS = tuple({"table": {"family": family, "name": "groundplane"}} for family in ("ip", "ip6"))
NOTHING = Exposed()
EXPOSED = Exposed(
    addresses=("203.0.113.9",),
    node_ports=(("TCP", 30080), ("UDP", 30053)),
    health_check_ports=(32000,),
)
GOOD = Facts(
    sysctls={
        "net/ipv4/ip_forward": "1",
        "net/ipv6/conf/all/forwarding": "1",
        "net/ipv4/conf/all/rp_filter": "0",
        "net/ipv4/conf/all/send_redirects": "0",
        "net/ipv4/conf/groundplane0/send_redirects": "0",
        "net/netfilter/nf_conntrack_count": "100",
        "net/netfilter/nf_conntrack_max": "262144",
        "net/ipv4/ip_local_port_range": "32768\t60999",
        "net/ipv4/ip_local_reserved_ports": "",
    },
    interfaces={"lo": True, "uplink": True, "groundplane0": True},
    addresses=(
        Address("lo", "127.0.0.1", 8),
        Address("uplink", "192.0.2.1", 24),
        Address("uplink", "2001:db8::1", 64),
        Address("groundplane0", "10.244.1.1", 24),
        Address("groundplane0", "fd00:244:0:1::1", 64),
    ),
    routes=(
        Route("0.0.0.0/0", "uplink", "192.0.2.254", 3),
        Route("::/0", "uplink", "2001:db8::fe", 3),
        Route("192.0.2.0/24", "uplink", protocol=2),
        Route("10.244.1.0/24", "groundplane0", protocol=2),
        Route("10.244.1.1/32", "groundplane0", protocol=2, kind="local"),
        Route("10.96.0.0/24", "groundplane0", protocol=71),
        Route("10.244.2.0/24", "uplink", "192.0.2.2", 71),
        Route("10.0.0.0/8", "uplink", "192.0.2.254", 3),  # wider than ours
    ),
    listeners=(Listener("TCP", "0.0.0.0", 22), Listener("UDP", "127.0.0.1", 30053)),
    ruleset=OURS,
)


def sysctls(facts: Facts = GOOD, **changes: str) -> Facts:
    """Return *facts* with settings, whose dots are written __ here."""
    given = {name.replace("__", "/"): value for name, value in changes.items()}
    return replace(facts, sysctls={**facts.sysctls, **given})


def found(facts: Facts, exposed: Exposed = NOTHING, base: NodeBase = BASE) -> list[tuple[str, str]]:
    return [(each.severity, each.subject) for each in diagnose(base, facts, exposed)]


def the(facts: Facts, exposed: Exposed = NOTHING, base: NodeBase = BASE) -> Finding:
    """Return the only finding."""
    (finding,) = diagnose(base, facts, exposed)
    return finding


def commands(finding: Finding) -> list[str]:
    return re.findall("`([^`]+)`", finding.remedy)


def test_a_node_as_it_should_be_has_no_finding() -> None:
    assert [] == found(GOOD)
    assert [] == found(GOOD, EXPOSED)
    assert [] == found(GOOD, EXPOSED, replace(BASE, peers=()))


def test_what_is_ours_is_known_by_the_same_marks() -> None:
    assert (PROTOCOL, TABLE) == (network.PROTOCOL, ruleset.OURS)


# ------------------------------------------------------------------------------------------------
# Settings of the kernel.


@pytest.mark.parametrize(
    ("facts", "severity", "subject", "told"),
    [
        (sysctls(net__ipv4__ip_forward="0"), "error", "net.ipv4.ip_forward", "not forwarded"),
        (
            sysctls(net__ipv6__conf__all__forwarding="0"),
            "error",
            "net.ipv6.conf.all.forwarding",
            "IPv6 packets are not forwarded",
        ),
        (
            sysctls(net__ipv4__conf__uplink__forwarding="0"),
            "error",
            "net.ipv4.conf.uplink.forwarding",
            "come in by uplink are not forwarded",
        ),
        (
            sysctls(net__ipv6__conf__groundplane0__forwarding="0"),
            "error",
            "net.ipv6.conf.groundplane0.forwarding",
            "come in by groundplane0 are not forwarded",
        ),
        (
            sysctls(net__ipv4__conf__groundplane0__send_redirects="1"),
            "warning",
            "net.ipv4.conf.groundplane0.send_redirects",
            "neighbour",
        ),
        (
            sysctls(net__ipv4__conf__all__send_redirects="1"),
            "warning",
            "net.ipv4.conf.groundplane0.send_redirects",
            "neighbour",
        ),
        (
            sysctls(net__netfilter__nf_conntrack_max="4096"),
            "warning",
            "net.netfilter.nf_conntrack_max",
            "No more than 4096 connections",
        ),
        (
            sysctls(net__netfilter__nf_conntrack_count="220000"),
            "warning",
            "net.netfilter.nf_conntrack_max",
            "220000 of 262144",
        ),
        (
            sysctls(net__netfilter__nf_conntrack_count="262144"),
            "error",
            "net.netfilter.nf_conntrack_max",
            "new ones are dropped",
        ),
    ],
)
def test_settings(facts: Facts, severity: str, subject: str, told: str) -> None:
    finding = the(facts)
    assert (severity, f"sysctl {subject}") == (finding.severity, finding.subject)
    assert told in finding.message
    assert commands(finding)[0].startswith(f"sysctl -w {subject}=")


def test_settings_that_the_kernel_does_not_have_are_no_finding() -> None:
    assert [] == found(replace(GOOD, sysctls={}), EXPOSED)


def test_a_site_of_one_family_needs_no_forwarding_of_the_other() -> None:
    base = of_family("IPv4")
    assert [] == found(sysctls(net__ipv6__conf__all__forwarding="0"), base=base)


TWO_WAYS = replace(GOOD, routes=(*GOOD.routes, Route("198.51.100.0/24", "eth1", "192.0.2.9", 3)))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (sysctls(net__ipv4__conf__all__rp_filter="1"), []),  # one way in and out
        (sysctls(TWO_WAYS, net__ipv4__conf__uplink__rp_filter="1"), ["uplink"]),
        (sysctls(TWO_WAYS, net__ipv4__conf__all__rp_filter="1"), ["groundplane0", "uplink"]),
        (
            sysctls(
                TWO_WAYS,
                net__ipv4__conf__all__rp_filter="1",
                net__ipv4__conf__uplink__rp_filter="2",
                net__ipv4__conf__groundplane0__rp_filter="2",
            ),
            [],
        ),
    ],
)
def test_strict_reverse_paths(facts: Facts, expected: list[str]) -> None:
    subjects = [f"sysctl net.ipv4.conf.{name}.rp_filter" for name in expected]
    assert [("warning", subject) for subject in subjects] == found(facts)


@pytest.mark.parametrize(
    ("accept_ra", "protocol", "expected"), [("1", 9, 1), ("1", 2, 1), ("2", 9, 0), ("1", 3, 0)]
)
def test_a_default_route_that_forwarding_lets_expire(
    accept_ra: str, protocol: int, expected: int
) -> None:
    routes = (Route("::/0", "uplink", "fe80::1", protocol),)
    facts = sysctls(
        replace(GOOD, routes=routes),
        net__ipv6__conf__uplink__accept_ra=accept_ra,
        net__ipv6__conf__uplink__forwarding="1",
    )
    subject = "sysctl net.ipv6.conf.uplink.accept_ra"
    assert [("warning", subject)] * expected == found(facts)


@pytest.mark.parametrize(
    ("local", "reserved", "command"),
    [
        ("32768\t60999", "", None),
        ("1024 65535", "30000-32767", None),
        ("1024 65535", "", "30000-32767"),
        ("32000 65535", "8080,9000-9010", "8080,9000-9010,32000-32767"),
        ("32000 65535", "31999", "31999-32767"),
    ],
)
def test_ports_of_the_node_itself(local: str, reserved: str, command: str | None) -> None:
    facts = sysctls(
        net__ipv4__ip_local_port_range=local, net__ipv4__ip_local_reserved_ports=reserved
    )
    assert [] == found(facts)
    expected = [f"sysctl -w net.ipv4.ip_local_reserved_ports={command}"] if command else []
    assert expected == [commands(each)[0] for each in diagnose(BASE, facts, EXPOSED)]


def test_a_setting_of_an_interface_with_a_dot_is_named_so_that_sysctl_takes_it() -> None:
    addresses = (Address("eth0.7", "192.0.2.1", 24), *GOOD.addresses[2:])
    facts = sysctls(replace(GOOD, addresses=addresses))
    facts = replace(facts, sysctls={**facts.sysctls, "net/ipv4/conf/eth0.7/forwarding": "0"})
    assert ["sysctl -w net/ipv4/conf/eth0.7/forwarding=1"] == commands(the(facts))


# ------------------------------------------------------------------------------------------------
# Interfaces, addresses, routes, listeners.


def test_the_bridge() -> None:
    missing = replace(GOOD, interfaces={"lo": True, "uplink": True})
    assert [("error", "interface groundplane0")] == found(missing)
    down = the(replace(GOOD, interfaces={**GOOD.interfaces, "groundplane0": False}))
    assert ("error", ["ip link set groundplane0 up"]) == (down.severity, commands(down))
    bare = the(replace(GOOD, addresses=GOOD.addresses[:-1]))
    assert "ip address add fd00:244:0:1::1/64 dev groundplane0" == commands(bare)[0]


@pytest.mark.parametrize(
    ("address", "severity", "told"),
    [
        (Address("lo", "10.96.0.10", 32), "error", "service range 10.96.0.0/24"),
        (Address("lo", "fd00:96::10", 128), "error", "service range fd00:96::/112"),
        (Address("eth1", "10.244.2.9", 24), "error", "workloads of Node/n2"),
        (Address("eth1", "10.244.1.9", 24), "error", "this node's workloads"),
        (Address("eth1", "192.0.2.3", 24), "error", "the address of Node/n3"),
        (Address("uplink", "203.0.113.9", 32), "warning", "a service's external address"),
    ],
)
def test_addresses(address: Address, severity: str, told: str) -> None:
    local = Route(f"{address.address}/{128 if ':' in address.address else 32}", kind="local")
    facts = replace(GOOD, addresses=(*GOOD.addresses, address), routes=(*GOOD.routes, local))
    finding = the(facts, EXPOSED)
    assert severity == finding.severity
    assert told in finding.message
    deletion = f"ip address del {address.address}/{address.length} dev {address.interface}"
    assert [deletion] == commands(finding)


def test_ipvs_needs_service_addresses_on_an_interface() -> None:
    ours = (Address("lo", "10.96.0.10", 32), Address("lo", "203.0.113.9", 32))
    facts = replace(GOOD, addresses=(*GOOD.addresses, *ours))
    assert [] == found(facts, replace(EXPOSED, ipvs=True))


@pytest.mark.parametrize(
    ("route", "severity", "told", "command"),
    [
        (
            Route("10.96.0.128/25", "tun0", "192.0.2.9", 3),
            "warning",
            "service range",
            "ip route del 10.96.0.128/25 dev tun0",
        ),
        (
            Route("10.96.0.0/24", "tun0"),
            "error",
            "service range",
            "ip route del 10.96.0.0/24 dev tun0",
        ),
        (
            Route("10.96.0.0/25", "lo", kind="local"),
            "error",
            "service range",
            "ip route del local 10.96.0.0/25 dev lo",
        ),
        (
            Route("fd00:96::/120", "", protocol=3, kind="blackhole"),
            "warning",
            "service range",
            "ip -6 route del blackhole fd00:96::/120",
        ),
        (
            Route("10.244.2.0/25", "br-1", protocol=2),
            "error",
            "workloads of Node/n2",
            "ip route del 10.244.2.0/25 dev br-1",
        ),
        (
            Route("10.244.1.7/32", "eth1"),
            "error",
            "workloads of Node/n1",
            "ip route del 10.244.1.7/32 dev eth1",
        ),
        (
            Route("10.244.9.0/24", "br-1", protocol=2),
            "warning",
            "workload range 10.244.0.0/16",
            "ip route del 10.244.9.0/24 dev br-1",
        ),
    ],
)
def test_routes(route: Route, severity: str, told: str, command: str) -> None:
    finding = the(replace(GOOD, routes=(*GOOD.routes, route)))
    assert (severity, [command]) == (finding.severity, commands(finding))
    assert told in finding.message


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        (Listener("TCP", "0.0.0.0", 30080), 1),
        (Listener("TCP", "::", 30080), 1),
        (Listener("UDP", "192.0.2.1", 30053), 1),
        (Listener("UDP", "192.0.2.1", 30080), 0),
        (Listener("TCP", "127.0.0.1", 30080), 0),
        (Listener("TCP", "0.0.0.0", 32000), 0),  # the health check's own server
    ],
)
def test_listeners(listener: Listener, expected: int) -> None:
    facts = replace(GOOD, listeners=(listener,))
    subject = f"listener on {listener.address} port {listener.port}/{listener.protocol}"
    assert [("warning", subject)] * expected == found(facts, EXPOSED)


# ------------------------------------------------------------------------------------------------
# Rules of others.

ACCEPT, DROP, NOTRACK = {"accept": None}, {"drop": None}, {"notrack": None}


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def iif(name: str) -> dict[str, Any]:
    return match({"meta": {"key": "iifname"}}, name)


def oif(name: str) -> dict[str, Any]:
    return match({"meta": {"key": "oifname"}}, name)


def dport(protocol: str, port: int) -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": "dport"}}, port)


def daddr(address: str, ip: str = "ip") -> dict[str, Any]:
    return match({"payload": {"protocol": ip, "field": "daddr"}}, address)


TRANSLATED = match({"ct": {"key": "status"}}, "dnat", "in")
ESTABLISHED = match({"ct": {"key": "state"}}, ["established", "related"], "in")


def rules(
    hook: str,
    *written: list[dict[str, Any]],
    family: str = "inet",
    table: str = "filter",
    name: str = "",
    kind: str = "filter",
    priority: int = 0,
    policy: str = "drop",
    chains: tuple[str, ...] = (),
) -> Facts:
    """Return GOOD with a table that has a base chain at *hook*, and empty *chains*."""
    place = {"family": family, "table": table}
    chain = name or hook
    objects: list[dict[str, Any]] = [
        {"table": {"family": family, "name": table}},
        {
            "chain": place
            | {"name": chain, "type": kind, "hook": hook, "prio": priority, "policy": policy}
        },
        *({"chain": place | {"name": each}} for each in chains),
        *(
            {"rule": place | {"chain": chain, "expr": expressions, "handle": handle}}
            for handle, expressions in enumerate(written, 4)
        ),
    ]
    return replace(GOOD, ruleset=(*OURS, *objects))


def test_a_forward_chain_that_accepts_nothing_of_ours() -> None:
    finding = the(rules("forward", [ESTABLISHED, ACCEPT]), EXPOSED)
    assert ("error", "table inet filter, chain forward") == (finding.severity, finding.subject)
    assert finding.message == (
        "It swallows IPv4 and IPv6 by its policy drop: workloads to services; workloads to those "
        "of other nodes; workloads of other nodes to those of this one; what other nodes "
        "masquerade to workloads of this one; workloads to addresses outside; clients outside to "
        "services."
    )
    assert [
        "nft insert rule inet filter forward ct status dnat accept",
        "nft insert rule inet filter forward iifname groundplane0 accept",
        "nft insert rule inet filter forward oifname groundplane0 accept",
    ] == commands(finding)


def test_a_chain_of_one_family_is_told_for_it_alone() -> None:
    assert "swallows IPv6 by" in the(rules("forward", family="ip6")).message


@pytest.mark.parametrize(
    "written",
    [
        [[ACCEPT]],
        [[iif("groundplane0"), ACCEPT], [oif("groundplane0"), ACCEPT]],
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


def test_what_has_an_end_outside_is_a_warning() -> None:
    peers = match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.2")
    workloads = {"prefix": {"addr": "10.244.0.0", "len": 16}}
    ours = match({"payload": {"protocol": "ip", "field": "saddr"}}, workloads)
    accepted = [[iif("groundplane0"), ACCEPT], [oif("groundplane0"), ours, ACCEPT], [peers, ACCEPT]]
    finding = the(rules("forward", *accepted, [ESTABLISHED, ACCEPT], family="ip"), EXPOSED)
    told = "It may swallow IPv4 by its policy drop: clients outside to services."
    assert ("warning", told) == (finding.severity, finding.message)
    finding = the(
        rules("input", [dport("udp", 53), ACCEPT], [dport("tcp", 53), ACCEPT], family="ip"), EXPOSED
    )
    told = "It swallows IPv4 by its policy drop: health checks on port 32000."
    assert ("warning", told) == (finding.severity, finding.message)


def test_a_rule_that_cannot_be_judged_makes_it_a_perhaps() -> None:
    limit = {"limit": {"rate": 5, "per": "second"}}
    finding = the(rules("forward", [limit, ACCEPT]))
    assert "warning" == finding.severity
    assert finding.message.startswith("It may swallow IPv4 and IPv6 by its policy drop: ")


def test_what_is_lost_and_what_may_be_are_apart() -> None:
    limit = {"limit": {"rate": 5, "per": "second"}}
    swallows, may = diagnose(
        BASE, rules("forward", [iif("groundplane0"), limit, ACCEPT], family="ip6"), NOTHING
    )
    assert ("error", "warning") == (swallows.severity, may.severity)
    assert "workloads to services" not in swallows.message
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


def test_an_input_chain_swallows_names_and_health_checks() -> None:
    finding = the(rules("input", [ESTABLISHED, ACCEPT]), EXPOSED)
    assert ("error", "table inet filter, chain input") == (finding.severity, finding.subject)
    assert finding.message == (
        "It swallows IPv4 and IPv6 by its policy drop: names asked by workloads; health checks on "
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


def test_an_input_chain_swallows_what_services_send_to_endpoints_on_the_nodes_network() -> None:
    dns = [[iif("groundplane0"), ACCEPT]]
    finding = the(rules("input", *dns), HOST_PORTS)
    assert ("error", "table inet filter, chain input") == (finding.severity, finding.subject)
    assert finding.message == (
        "It swallows IPv4 and IPv6 by its policy drop: services to port 8081 of this node; "
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


def test_an_output_chain_swallows_what_the_node_asks_of_services() -> None:
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


# ------------------------------------------------------------------------------------------------

DNAT, REDIRECT = {"dnat": {"addr": "172.17.0.2"}}, {"redirect": {"port": 3128}}


def nat(
    hook: str, *written: list[dict[str, Any]], priority: int = -100, family: str = "ip"
) -> Facts:
    return rules(
        hook,
        *written,
        kind="nat",
        table="nat",
        family=family,
        priority=priority,
        policy="accept",
    )


@pytest.mark.parametrize(
    ("facts", "severity", "told"),
    [
        (
            nat("prerouting", [dport("tcp", 80), REDIRECT], priority=-110),
            "error",
            "It is asked before ours and translates service addresses port 80/TCP, ",
        ),
        (
            nat("output", [dport("udp", 53), REDIRECT], family="inet"),
            "error",
            "It is asked beside ours and translates service addresses port 53/UDP, ",
        ),
        (
            nat("prerouting", [dport("tcp", 30080), DNAT]),
            "error",
            "It is asked beside ours and translates node port 30080/TCP: ",
        ),
        (
            nat(
                "prerouting",
                [{"xt": {"type": "match", "name": "addrtype"}}, dport("tcp", 30080), DNAT],
            ),
            "warning",
            "It is asked beside ours and may translate node port 30080/TCP: ",
        ),
        (
            nat("prerouting", [daddr("203.0.113.9"), DNAT]),
            "error",
            "It is asked beside ours and translates 203.0.113.9 port 80/TCP, 203.0.113.9 port 443",
        ),
    ],
)
def test_translations_before_ours(facts: Facts, severity: str, told: str) -> None:
    finding = the(facts, EXPOSED)
    assert (severity, finding.message[: len(told)]) == (finding.severity, told)


def test_a_translation_that_matches_everything() -> None:
    assert "service addresses port 54321/TCP" in the(nat("prerouting", [DNAT])).message


@pytest.mark.parametrize(
    "facts",
    [
        nat("prerouting", [DNAT], priority=-90),  # as firewalld's
        nat("prerouting", [iif("eth1"), DNAT]),
        nat("prerouting", [dport("tcp", 8080), DNAT]),
        nat("prerouting", [daddr("198.51.100.7"), DNAT]),
        nat("postrouting", [{"masquerade": None}]),
        nat(
            "prerouting",
            [{"xt": {"type": "match", "name": "addrtype"}}, dport("tcp", 80), DNAT],
        ),  # a port that a container publishes
    ],
)
def test_translations_of_others(facts: Facts) -> None:
    assert [] == found(facts, EXPOSED)


def test_what_is_not_tracked_is_not_translated() -> None:
    facts = rules(
        "prerouting",
        [dport("udp", 53), NOTRACK],
        [iif("eth1"), NOTRACK],
        table="raw",
        priority=-300,
        policy="accept",
    )
    finding = the(facts)
    assert ("error", "table inet raw, chain prerouting") == (finding.severity, finding.subject)
    assert finding.message.startswith("It keeps service addresses port 53/UDP from being tracked")
    assert ["nft 'delete rule inet raw prerouting handle 4'"] == commands(finding)


@pytest.mark.parametrize(
    "facts",
    [
        rules("prerouting", [NOTRACK], priority=0, policy="accept"),  # too late to have an effect
        rules("prerouting", [daddr("192.0.2.9"), NOTRACK], priority=-300, policy="accept"),
        rules(
            "prerouting", [{"limit": {}}, NOTRACK], priority=-300, policy="accept"
        ),  # it cannot be told
    ],
)
def test_what_others_do_not_track(facts: Facts) -> None:
    assert [] == found(facts)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ({"ct": {"key": "label"}}, 14, "sets label 14"),
        ({"ct": {"key": "label"}}, ["3", "14"], "sets label 14"),
        ({"ct": {"key": "label"}}, 13, ""),
        ({"ct": {"key": "label"}}, {"map": {}}, ""),
        ({"ct": {"key": "mark"}}, 14, ""),
        ({"meta": {"key": "priority"}}, "1:2", "sets the priority"),
        ({"meta": {"key": "mark"}}, 14, ""),
    ],
)
def test_what_others_share_with_us(key: dict[str, Any], value: Any, told: str) -> None:
    facts = rules("forward", [{"mangle": {"key": key, "value": value}}], policy="accept")
    findings = diagnose(BASE, facts, NOTHING)
    assert [("info", True)] * bool(told) == [(e.severity, told in e.message) for e in findings]


# ------------------------------------------------------------------------------------------------
# What cannot be seen.


def test_rules_that_cannot_be_read() -> None:
    finding = the(replace(GOOD, ruleset=None, ruleset_error="nft: Operation not permitted"))
    assert ("warning", "nftables") == (finding.severity, finding.subject)
    assert "nft: Operation not permitted" in finding.message


def test_rules_of_iptables_legacy() -> None:
    finding = the(replace(GOOD, legacy_tables=("filter", "nat")))
    assert ("warning", "iptables-legacy") == (finding.severity, finding.subject)


def test_our_own_tables() -> None:
    assert [("error", "table ip6 groundplane")] == found(replace(GOOD, ruleset=OURS[:1]))
    assert [] == found(replace(GOOD, ruleset=OURS[:1]), base=of_family("IPv4"))


def test_the_worst_comes_first() -> None:
    facts = replace(sysctls(net__ipv4__conf__all__send_redirects="1"), legacy_tables=("nat",))
    facts = sysctls(facts, net__ipv4__ip_forward="0")
    assert ["error", "warning", "warning"] == [
        each.severity for each in diagnose(BASE, facts, NOTHING)
    ]
