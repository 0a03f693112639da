"""Kubernetes' Endpoints: the endpoints of the service of their name, if it has no selector."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import allocate_source, compile_catalog
from tests.catalogs import faults, read, warned

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{name: sql, port: 5432}]}
---
"""
ENDPOINTS = """\
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets:
- addresses:
  - {ip: 192.0.2.50, hostname: db-0}
  notReadyAddresses:
  - ip: 192.0.2.51
  - ip: 2001:db8::51
  ports:
  - {name: sql, port: 15432}
"""


def endpoints_of(source: Path, text: str) -> list[tuple[str, str, tuple[int, ...], bool]]:
    """Return hostname, address, target ports and readiness of each endpoint of the service db."""
    catalog = read(source, text)
    site = compile_catalog(catalog, allocate_source(source, catalog)[0])
    (service,) = [each for each in site.services if each.name == "db"]
    return [
        (each.hostname, each.ipv4 or each.ipv6, each.targets, each.ready)
        for each in service.endpoints.rows()
    ]


def test_they_are_the_endpoints_of_the_service(source: Path) -> None:
    assert endpoints_of(source, SERVICE + ENDPOINTS) == [
        ("db-0", "192.0.2.50", (15432,), True),
        ("", "192.0.2.51", (15432,), False),
        ("", "2001:db8::51", (15432,), False),
    ]
    assert warned(source, SERVICE + ENDPOINTS) == []


def test_each_subset_has_its_own_ports(source: Path) -> None:
    text = f"{SERVICE}{ENDPOINTS}- addresses: [{{ip: 192.0.2.60}}]\n  ports: [{{name: sql, port: 6}}]\n"
    assert endpoints_of(source, text)[-1] == ("", "192.0.2.60", (6,), True)


def test_a_slice_beside_them_counts_too_and_each_address_once(source: Path) -> None:
    """An API server prints both: its own controller wrote the slice from the Endpoints."""
    text = """\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.50], hostname: db-0}, {addresses: [192.0.2.70]}]
ports: [{name: sql, port: 15432}]
"""
    found = [address for _, address, _, _ in endpoints_of(source, SERVICE + ENDPOINTS + text)]
    assert sorted(found) == ["192.0.2.50", "192.0.2.51", "192.0.2.70", "2001:db8::51"]


@pytest.mark.parametrize(
    ("service", "metadata", "reason"),
    [
        ("", "{name: db}", 'there is no Service "db" in namespace "default"'),
        (
            SERVICE.replace("{ports", "{selector: {app: db}, ports"),
            "{name: db}",
            "skipped: the service has a selector, which says what its endpoints are",
        ),
        (
            SERVICE,
            "{name: db, labels: {endpointslice.kubernetes.io/skip-mirror: 'true'}}",
            "skipped: the label endpointslice.kubernetes.io/skip-mirror says so",
        ),
        (
            SERVICE,
            "{name: db, annotations: {control-plane.alpha.kubernetes.io/leader: '{}'}}",
            "skipped: they hold a lock of a leader election, and no endpoints",
        ),
    ],
    ids=["no service", "selector", "label", "leader"],
)
def test_what_is_skipped_is_told_of(source: Path, service: str, metadata: str, reason: str) -> None:
    text = service + ENDPOINTS.replace("{name: db}", metadata, 1)
    line = text[: text.index("kind: Endpoints")].count("\n")
    assert f"site/test.yaml:{line}: Endpoints/default/db: {reason}" in warned(source, text)
    if service:
        assert [] == endpoints_of(source, text)


@pytest.mark.parametrize(
    ("old", "new", "line", "fault"),
    [
        ("192.0.2.50", "192.0.2", 11, 'subsets[0].addresses[0].ip: "192.0.2" is not an IP address'),
        ("ip: 192.0.2.51", "ip: 127.0.0.1", 13,
         "subsets[0].notReadyAddresses[0].ip: 127.0.0.1 cannot be an endpoint"),
        ("ip: 2001:db8::51", "{ip: '2001:db8::51', nodeName: gone}", 14,
         'subsets[0].notReadyAddresses[1].nodeName: there is no Node "gone"'),
        ("port: 15432", "port: 70000", 16,
         "subsets[0].ports[0].port: 70000 is not a port: 1 to 65535"),
        ("hostname: db-0", "hostnam: db-0", 11,
         'subsets[0].addresses[0].hostnam: unknown field "hostnam"; did you mean "hostname"?'),
    ],
)  # fmt: skip
def test_a_fault_has_the_line_and_path_of_the_document(
    source: Path, old: str, new: str, line: int, fault: str
) -> None:
    found = faults(source, SERVICE + ENDPOINTS.replace(old, new))
    assert found == [f"site/test.yaml:{line}: Endpoints/default/db: {fault}"]
