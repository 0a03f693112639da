"""Addresses that cannot be given: who has them, and what to do."""

from pathlib import Path

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.documents.catalog import Object
from groundplane.errors import CatalogError
from tests.catalogs import DUAL, SITE, catalog, cluster, faults, node, service


def document(kind: str, name: str, spec: str) -> str:
    """Return a document of five lines, its spec on the last."""
    api = "v1" if kind == "Service" else "groundplane/v1"
    return f"---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


_OUTSIDE = "is outside the service range 10.96.0.0/24 (10.96.0.1 to 10.96.0.254)"
_REMEDY = "; leave clusterIP out, or give the Cluster a range that has it"


@pytest.mark.parametrize(
    ("ip", "fault"),
    [
        ("10.97.0.7", _OUTSIDE + _REMEDY),
        ("10.96.0.0", _OUTSIDE + _REMEDY),
        ("10.96.0.255", _OUTSIDE + _REMEDY),
        ("10.96.0.9", "is taken by Service/default/db"),
    ],
)
def test_an_explicit_address_is_a_free_one_of_the_range(source: Path, ip: str, fault: str) -> None:
    text = document("Service", "db", "{clusterIP: 10.96.0.9, ports: [{port: 80}]}")
    text += document("Service", "web", f"{{ports: [{{port: 80}}],\n  clusterIP: {ip}}}")
    assert faults(source, text) == [
        f"site/test.yaml:11: Service/default/web: spec.clusterIP: {ip} {fault}"
    ]


def test_an_explicit_address_of_two_names_its_place_in_the_list(source: Path) -> None:
    spec = """
  ports: [{port: 80}]
  ipFamilyPolicy: PreferDualStack
  clusterIPs:
  - 10.96.0.7
  - fd00:10:97::7"""
    assert faults(source, document("Service", "web", spec), site=DUAL) == [
        (
            "site/test.yaml:10: Service/default/web: spec.clusterIPs[1]: fd00:10:97::7 is outside "
            "the service range fd00:10:96::/112 (fd00:10:96::1 to fd00:10:96::ffff); leave "
            "clusterIPs out, or give the Cluster a range that has it"
        )
    ]


def test_an_explicit_address_that_another_holds_is_refused_to_the_one_that_asks(
    source: Path,
) -> None:
    text = document("Service", "db", "{ports: [{port: 80}]}")
    text += document("Service", "web", "{ports: [{port: 80}], clusterIP: 10.96.0.99}")
    place = "site/test.yaml:10: Service/default/web: spec.clusterIP"
    expected = f"{place}: 10.96.0.99 is taken by Service/default/db"
    assert faults(source, text, lock="Service/default/db 10.96.0.99\n") == [expected]


def test_an_address_whose_range_is_gone_is_never_changed_in_silence(source: Path) -> None:
    text = document("Service", "db", "{ports: [{port: 80}]}")
    assert faults(source, text, lock="Service/default/db 10.97.0.1\n") == [
        (
            "site/test.yaml:2: Service/default/db: 10.97.0.1, which addresses.lock gives it, "
            f"{_OUTSIDE}; an address is never changed automatically: "
            "delete its line in addresses.lock to have a new one"
        )
    ]


def test_a_subnet_of_another_length_is_never_changed_in_silence(source: Path) -> None:
    assert faults(source, lock="Node/n1 10.244.0.0/25\n") == [
        (
            "site/site.yaml:9: Node/n1: 10.244.0.0/25, which addresses.lock gives it, is not a /24; "
            "to have a new one, delete its line in addresses.lock"
        )
    ]


def test_a_service_range_that_is_full_names_every_service_without_address(source: Path) -> None:
    site = SITE.replace("10.96.0.0/24", "10.96.0.0/30")
    text = "".join(document("Service", name, "{ports: [{port: 80}]}") for name in "abcd")
    full = "the service range 10.96.0.0/30 (10.96.0.1 to 10.96.0.2) is full: all 2 are taken"
    assert faults(source, text, site=site) == [
        f"site/test.yaml:12: Service/default/c: {full}",
        f"site/test.yaml:17: Service/default/d: {full}",
    ]


def test_a_nodes_subnet_that_is_full_names_the_node(source: Path) -> None:
    site = SITE.replace("nodePrefix: 24", "nodePrefix: 30").replace(
        "[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/30]"
    )
    text = "".join(document("Workload", name, "{node: n1}") for name in ("a", "b"))
    assert faults(source, text, site=site) == [
        (
            "site/test.yaml:7: Workload/default/b: 10.244.0.0/30, the subnet of Node/n1 "
            "(10.244.0.2 to 10.244.0.2) is full: all 1 are taken"
        )
    ]


def test_a_workload_range_that_is_full_names_every_node_without_subnet(source: Path) -> None:
    site = SITE.replace("nodePrefix: 24", "nodePrefix: 16")
    text = document("Node", "n2", "{addresses: [192.0.2.2]}")
    assert faults(source, text, site=site) == [
        "site/test.yaml:2: Node/n2: 10.244.0.0/16 (subnets of nodes) is full: all 1 are taken"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10.244.1.7", "is outside 10.244.0.0/24, the subnet of Node/n1"),
        ("10.244.0.1", "is outside 10.244.0.0/24, the subnet of Node/n1"),
        ("10.244.0.255", "is outside 10.244.0.0/24, the subnet of Node/n1"),
    ],
)
def test_an_explicit_workload_address_is_one_of_its_node(
    source: Path, text: str, fault: str
) -> None:
    site = SITE.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]")
    web = document("Workload", "web", f"{{node: n1, addresses: [{text}]}}")
    assert faults(source, web, site=site) == [
        (
            "site/test.yaml:5: Workload/default/web: spec.addresses[0]: "
            f"{text} {fault} (10.244.0.2 to 10.244.0.254)"
        )
    ]


def test_an_address_that_two_workloads_fix_names_the_other(source: Path) -> None:
    site = SITE.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]")
    spec = "{node: n1, addresses: [10.244.0.7]}"
    text = document("Workload", "a", spec) + document("Workload", "b", spec)
    assert faults(source, text, site=site) == [
        (
            "site/test.yaml:10: Workload/default/b: spec.addresses[0]: "
            "10.244.0.7 is taken by Workload/default/a"
        )
    ]


def test_all_faults_of_addresses_come_at_once() -> None:
    objects: list[Object] = [cluster("10.96.0.0/24"), node("n1", "192.0.2.1")]
    bad = [service(name, cluster_ip="10.97.0.1") for name in ("a", "b")]
    with pytest.raises(CatalogError) as caught:
        allocate(catalog(*objects, *bad), Lock())
    assert [fault.subject for fault in caught.value.faults] == [
        "Service/default/a",
        "Service/default/b",
    ]
