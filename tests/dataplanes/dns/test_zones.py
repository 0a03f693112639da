"""Zones of a site, their files, and the server's configuration."""

import msgspec
import netaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.dns.config import (
    negative_trust_anchors,
    resolved_conf,
    server_config,
)
from groundplane.dataplanes.dns.zones import (
    zone_file,
    zones_of,
)
from groundplane.net.dns_names import reverse_name, reverse_zones
from tests.states import BASE, of_family


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.0.0.0/8", ["10.in-addr.arpa"]),
        ("10.96.0.0/16", ["96.10.in-addr.arpa"]),
        ("10.96.0.0/24", ["0.96.10.in-addr.arpa"]),
        ("10.96.4.0/23", ["4.96.10.in-addr.arpa", "5.96.10.in-addr.arpa"]),
        ("10.96.0.0/31", ["0.0.96.10.in-addr.arpa", "1.0.96.10.in-addr.arpa"]),
        ("fd00:244::/48", ["0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa"]),
        ("fd00::/15", ["0.0.d.f.ip6.arpa", "1.0.d.f.ip6.arpa"]),
    ],
)
def test_reverse_zones_are_whole_octets_or_nibbles(cidr: str, expected: list[str]) -> None:
    assert expected == reverse_zones(cidr)


@given(prefix=st.integers(8, 32), offset=st.integers(0, 2**24 - 1))
def test_every_address_of_a_range_lies_in_exactly_one_of_its_zones(
    prefix: int, offset: int
) -> None:
    cidr = f"10.0.0.0/{prefix}"
    address = str(netaddr.IPAddress(netaddr.IPNetwork(cidr).first + offset % (1 << 32 - prefix)))
    owner = f".{reverse_name(address)}"
    assert 1 == sum(owner.endswith(f".{zone}.") for zone in reverse_zones(cidr))


def test_the_zones_of_a_site_are_its_domain_that_of_its_nodes_and_those_of_its_ranges() -> None:
    assert (
        "cluster.local",
        "node.cluster.local",
        "0.96.10.in-addr.arpa",
        ".".join("0" * 20 + "6900" + "00df") + ".ip6.arpa",
        "244.10.in-addr.arpa",
        "0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa",
    ) == zones_of(BASE)


def test_a_zone_file_is_sorted_and_starts_with_serial_1() -> None:
    records = [("b.cluster.local.", "A", "10.96.0.2", 5), ("a.cluster.local.", "A", "10.96.0.3", 5)]
    assert zone_file("cluster.local", records) == (
        "$ORIGIN cluster.local.\n"
        "$TTL 5\n"
        "@ 5 IN SOA localhost. hostmaster.cluster.local. 1 7200 1800 86400 5\n"
        "@ 5 IN NS localhost.\n"
        "a.cluster.local. 5 IN A 10.96.0.3\n"
        "b.cluster.local. 5 IN A 10.96.0.2\n"
    )


def lines(text: str, start: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith(start)]


def test_the_server_listens_on_loopback_and_the_bridge_only() -> None:
    assert [
        "listen-on port 53 { 127.0.0.1; 10.244.1.1; };",
        "listen-on-v6 port 53 { ::1; fd00:244:0:1::1; };",
    ] == lines(server_config(BASE), "listen-on")


def test_the_server_of_a_site_of_one_family_listens_on_that_bridge_address() -> None:
    assert [
        "listen-on port 53 { 127.0.0.1; };",
        "listen-on-v6 port 53 { ::1; fd00:244:0:1::1; };",
    ] == lines(server_config(of_family("IPv6")), "listen-on")


def test_only_workloads_and_nodes_are_answered() -> None:
    (found,) = lines(server_config(BASE), "acl clients")
    assert found == (
        "acl clients { loopback; 10.244.0.0/16; fd00:244::/48; 192.0.2.1; 2001:db8::1; "
        "192.0.2.2; 2001:db8::2; 192.0.2.3; 2001:db8::3; };"
    )


@pytest.mark.parametrize(
    ("forwarders", "expected"),
    [((), []), (("192.0.2.53",), ["forwarders { 192.0.2.53; };", "forward only;"])],
)
def test_other_names_are_asked_of_the_sites_resolvers(
    forwarders: tuple[str, ...], expected: list[str]
) -> None:
    base = msgspec.structs.replace(BASE, forwarders=forwarders)
    text = server_config(base).partition("zone ")[0]
    assert expected == lines(text, "forward")


def test_a_zone_is_written_and_transferred_over_loopback_with_the_key_only() -> None:
    text = server_config(BASE)
    only = "{ !{ !loopback; any; }; key groundplane; };"
    assert [f"allow-update {only}"] * 6 == lines(text, "allow-update {")[1:]
    assert [f"allow-transfer {only}"] * 6 == lines(text, "allow-transfer {")[1:]


def test_journals_are_apart_from_the_files() -> None:
    """In memory: BIND answers nobody while it waits for a disk."""
    zones = zones_of(BASE)
    text = server_config(BASE, directory="/z", journals="/j")
    assert [f'file "/z/{zone}.zone";' for zone in zones] == lines(text, 'file "/z/')
    assert [f'journal "/j/{zone}.jnl";' for zone in zones] == lines(text, "journal ")


def test_systemd_resolved_routes_every_zone_of_ours_to_the_local_server() -> None:
    server, domains = resolved_conf(BASE).splitlines()[1:]
    assert "DNS=127.0.0.1" == server
    assert [f"~{zone}" for zone in zones_of(BASE)] == domains.removeprefix("Domains=").split()


def test_no_parent_vouches_for_the_zones_that_resolved_asks_the_node_for() -> None:
    _, domains = resolved_conf(BASE).splitlines()[1:]
    routed = domains.removeprefix("Domains=").replace("~", "").split()
    assert negative_trust_anchors(BASE).split() == routed
