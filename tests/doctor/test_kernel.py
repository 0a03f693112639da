"""Findings of the kernel's settings, from facts as data."""

import pytest
from msgspec.structs import replace

from groundplane.doctor import (
    AddressFact,
    Facts,
    RouteFact,
    diagnose,
)
from tests.doctor.findings import EXPOSED, GOOD, commands, found, sysctls, the
from tests.kernel.spaces import based
from tests.states import BASE, of_family


@pytest.mark.parametrize(
    ("facts", "severity", "subject", "told"),
    [
        (sysctls(net__ipv4__ip_forward="0"), "error", "net.ipv4.ip_forward", "not forwarded"),
        (
            sysctls(net__netfilter__nf_conntrack_tcp_be_liberal="0"),
            "warning",
            "net.netfilter.nf_conntrack_tcp_be_liberal",
            "passes untranslated",
        ),
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


TWO_WAYS = replace(
    GOOD, routes=(*GOOD.routes, RouteFact("198.51.100.0/24", "eth1", "192.0.2.9", 3))
)


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
    routes = (RouteFact("::/0", "uplink", "fe80::1", protocol),)
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
    addresses = (AddressFact("eth0.7", "192.0.2.1", 24), *GOOD.addresses[2:])
    facts = sysctls(replace(GOOD, addresses=addresses))
    facts = replace(facts, sysctls={**facts.sysctls, "net/ipv4/conf/eth0.7/forwarding": "0"})
    assert ["sysctl -w net/ipv4/conf/eth0.7/forwarding=1"] == commands(the(facts))


IPVS = based(proxy_mode="ipvs")


@pytest.mark.parametrize("name", ["conntrack", "expire_nodest_conn"])
def test_ipvs_needs_settings_of_its_own(name: str) -> None:
    facts = sysctls(GOOD, **{f"net__ipv4__vs__{name}": "0"})
    finding = the(facts, base=IPVS)
    assert ("error", f"sysctl net.ipv4.vs.{name}") == (finding.severity, finding.subject)
    assert [f"sysctl -w net.ipv4.vs.{name}=1"] == commands(finding)
    assert [] == found(facts)
    without = replace(GOOD, sysctls={k: v for k, v in GOOD.sysctls.items() if "vs" not in k})
    assert [("error", "IPVS")] == found(without, base=IPVS)
    assert [] == found(without)


@pytest.mark.parametrize(("first", "told"), [(1024, True), (29999, True), (30000, False)])
def test_where_ipvs_balances_ports_of_the_nodes_own_are_not_those_of_the_masqueraded(
    first: int, told: bool
) -> None:
    facts = sysctls(net__ipv4__ip_local_port_range=f"{first}\t60999")
    wanted = [("warning", "sysctl net.ipv4.ip_local_port_range")] if told else []
    assert wanted == found(facts, base=IPVS)
    assert [] == found(facts)
