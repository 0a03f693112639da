"""Parts to records: Kubernetes DNS-Based Service Discovery 1.1.0."""

import msgspec
import pytest
from hypothesis import given

from groundplane.dataplanes.dns.records import TTL, Record, render
from groundplane.dataplanes.dns.zones import zones_of
from groundplane.project.state import Member, NodeBase, NodeState, Part, VirtualPort
from groundplane.site.compiled import Workload
from tests.states import BASE, external_name, headless, node_workloads, service, states


def lines(part: Part, base: NodeBase = BASE) -> list[str]:
    """Return the records of *part* as lines `owner type rdata`, without the cluster domain."""
    texts = (f"{each.owner} {each.type} {each.rdata}" for each in render(base, part))
    return sorted(text.replace(".svc.cluster.local.", "") for text in texts)


def test_a_service_has_an_address_of_each_family_a_name_for_each_port_and_pointers() -> None:
    assert [
        f"5.{'0.' * 23}6.9.0.0.0.0.d.f.ip6.arpa. PTR web.default",
        "5.0.96.10.in-addr.arpa. PTR web.default",
        "_http._tcp.web.default SRV 0 100 80 web.default",
        "web.default A 10.96.0.5",
        "web.default AAAA fd00:96::5",
    ] == lines(service("web", ["10.96.0.5", "fd00:96::5"]))


def test_a_service_keeps_its_name_without_an_endpoint() -> None:
    with_endpoint = service("web", ["10.96.0.5"], ["10.244.1.10:80"])
    assert lines(with_endpoint) == lines(service("web", ["10.96.0.5"]))


def test_a_port_without_a_name_has_none_in_dns() -> None:
    web = service("web", ["10.96.0.5"])
    unnamed = msgspec.structs.replace(web, ports=(VirtualPort("", "TCP", 80, 2),))
    assert not [line for line in lines(unnamed) if "SRV" in line]


def test_ports_are_named_by_protocol() -> None:
    web = service("web", ["10.96.0.5"], protocol="UDP", port=53)
    assert "_http._udp.web.default SRV 0 100 53 web.default" in lines(web)


def test_a_headless_service_is_its_endpoints() -> None:
    db = headless(
        "db", Member("db-0", "10.244.1.10", (5432,)), Member("10-244-2-10", "10.244.2.10", (80,))
    )
    assert [
        "10-244-2-10.db.default A 10.244.2.10",
        "10.1.244.10.in-addr.arpa. PTR db-0.db.default",
        "10.2.244.10.in-addr.arpa. PTR 10-244-2-10.db.default",
        "_http._tcp.db.default SRV 0 100 5432 db-0.db.default",
        "_http._tcp.db.default SRV 0 100 80 10-244-2-10.db.default",
        "db-0.db.default A 10.244.1.10",
        "db.default A 10.244.1.10",
        "db.default A 10.244.2.10",
    ] == lines(db)


def test_headless_service_without_endpoints_keeps_only_the_name_of_its_namespace() -> None:
    assert ['db._empty.default TXT ""'] == lines(headless("db"))


@pytest.mark.parametrize("name", ["p" * 63, ""])
def test_port_that_no_label_can_name_keeps_the_address(name: str) -> None:
    """RFC 1035, 2.3.4: a label has 63 octets, and the underscore is one."""
    web = service("web", ["10.96.0.5"])
    db = headless("db", Member("db-0", "192.0.2.50", (80,)))
    port = (VirtualPort(name, "TCP", 80, 2),)
    for part in (web, db):
        renamed = msgspec.structs.replace(part, ports=port)
        without = [line for line in lines(part) if "SRV" not in line]
        assert without == lines(renamed)


def test_an_endpoint_without_the_port_is_no_target_of_it() -> None:
    db = headless("db", Member("db-0", "10.244.1.10", (0,)))
    assert not [line for line in lines(db) if "SRV" in line]


def test_an_endpoint_outside_the_sites_ranges_has_no_pointer() -> None:
    db = headless("db", Member("db-0", "192.0.2.50", (80,)))
    assert not [line for line in lines(db) if "PTR" in line]


def test_two_endpoints_at_one_address_are_one_record() -> None:
    db = headless("db", Member("h", "192.0.2.1", (80,)), Member("h", "192.0.2.1", (80,)))
    assert [
        "_http._tcp.db.default SRV 0 100 80 h.db.default",
        "db.default A 192.0.2.1",
        "h.db.default A 192.0.2.1",
    ] == lines(db)


@pytest.mark.parametrize("cidr", ["10.96.0.0/28", "10.96.0.0/25", "10.96.0.0/30"])
def test_the_zone_of_a_single_address_has_its_pointer_at_the_apex(cidr: str) -> None:
    """Ranges past a whole octet have a zone for each address (RFC 2317 tells why)."""
    base = msgspec.structs.replace(BASE, service_cidrs=(cidr,))
    assert "1.0.96.10.in-addr.arpa. PTR web.default" in lines(service("web", ["10.96.0.1"]), base)


@pytest.mark.parametrize("target", ["db.example.org", "web.default.svc.cluster.local", "nas"])
def test_an_external_name_is_another_name_for_its_target_and_nothing_else(target: str) -> None:
    expected = Record("cluster.local", "db.default.svc.cluster.local.", "CNAME", f"{target}.")
    assert {expected: TTL} == render(BASE, external_name("db", target))


def test_addresses_from_outside_have_no_names() -> None:
    """Names are those of the Kubernetes specification: a cluster IP's, or the endpoints'."""
    web = service("web", ["10.96.0.5"])
    outside = msgspec.structs.replace(
        web, external_ips=("203.0.113.5",), load_balancer_ips=("203.0.113.6",)
    )
    assert render(BASE, web) == render(BASE, outside)


def test_the_version_of_the_specification_is_a_record_of_the_zone() -> None:
    version = Record("cluster.local", "dns-version.cluster.local.", "TXT", '"1.1.0"')
    assert TTL == render(BASE, BASE)[version]


def test_a_signed_domain_says_that_the_nodes_have_a_zone_of_their_own() -> None:
    base = msgspec.structs.replace(BASE, dnssec=True)
    delegation = Record("cluster.local", "node.cluster.local.", "NS", "localhost.")
    assert [delegation] == [*render(base, base).keys() - render(BASE, BASE).keys()]


def test_nodes_have_names_in_a_zone_of_their_own() -> None:
    zone = "node.cluster.local"
    assert {
        Record(zone, f"{name}.{zone}.", type_, address)
        for name, number in (("n1", 1), ("n2", 2), ("n3", 3))
        for type_, address in (("A", f"192.0.2.{number}"), ("AAAA", f"2001:db8::{number}"))
    } == {record for record in render(BASE, BASE) if record.zone == zone}


def test_workloads_have_names_of_their_addresses() -> None:
    dual = Workload("default", "web-1", "n2", ("10.244.2.10", "fd00:244:0:2::10"))
    of = node_workloads(dual, Workload("store", "db-1", "n2", ("10.244.2.11",)))
    assert [
        "10-244-2-10.default.pod.cluster.local. A 10.244.2.10",
        "10-244-2-11.store.pod.cluster.local. A 10.244.2.11",
        "fd00-244-0-2--10.default.pod.cluster.local. AAAA fd00:244:0:2::10",
    ] == lines(of)


@given(state=states())
def test_every_record_lies_in_a_zone_of_the_site_and_lives_five_seconds(state: NodeState) -> None:
    zones = zones_of(state.base)
    found = {key: ttl for part in state.parts for key, ttl in render(state.base, part).items()}
    assert {5} == set(found.values())
    assert [] == [
        record
        for record in found
        if record.zone not in zones or not f".{record.owner}".endswith(f".{record.zone}.")
    ]


@given(state=states())
def test_no_two_parts_have_a_record_in_common(state: NodeState) -> None:
    rendered = [render(state.base, part) for part in state.parts]
    assert sum(map(len, rendered)) == len({key for part in rendered for key in part})
