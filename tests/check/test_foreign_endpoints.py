"""Endpoints that are nodes, or outside the site: only as far as the Cluster says so."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import preview_source
from groundplane.errors import CatalogError
from tests.catalogs import SITE, write

ALLOWED = '  endpoints: {nodes: true, outsideCIDRs: [0.0.0.0/0, "::/0"]}\n'
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 22}]}
---
"""
SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: 22}]
endpoints: [{addresses: [%s]}]
"""
ENDPOINTS = """\
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: %s}], ports: [{port: 22}]}]
"""
NODE = (
    "%s is an address of Node/n1: only with spec.endpoints.nodes of the Cluster may a slice lead to "
    "nodes; a Workload with hostNetwork names what runs on one"
)
OUTSIDE = (
    "%s is outside the site: spec.endpoints.outsideCIDRs of the Cluster has the ranges of such "
    "endpoints"
)


def told(source: Path, text: str, allowed: str = "") -> list[str]:
    site = SITE.replace(ALLOWED, allowed).replace(
        "addresses: [192.0.2.1]", "addresses: [192.0.2.1], workloadSubnets: [10.244.7.0/24]"
    )
    write(source, {"site.yaml": site, "test.yaml": SERVICE + text})
    try:
        preview_source(source)
    except CatalogError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(("address", "message"), [("192.0.2.1", NODE), ("192.0.2.9", OUTSIDE)])
@pytest.mark.parametrize(
    ("text", "at"),
    [
        (SLICE, "site/test.yaml:11: EndpointSlice/default/db-1: endpoints[0].addresses[0]"),
        (ENDPOINTS, "site/test.yaml:9: Endpoints/default/db: subsets[0].addresses[0].ip"),
    ],
)
def test_what_the_cluster_does_not_allow_is_refused(
    source: Path, text: str, at: str, address: str, message: str
) -> None:
    assert [f"{at}: {message % address}"] == told(source, text % address)


def test_the_address_of_a_bridge_is_a_nodes(source: Path) -> None:
    at = "site/test.yaml:11: EndpointSlice/default/db-1: endpoints[0].addresses[0]"
    assert [f"{at}: {NODE % '10.244.7.1'}"] == told(source, SLICE % "10.244.7.1")
    assert [] == told(source, SLICE % "10.244.7.1", "  endpoints: {nodes: true}\n")


def test_ranges_that_hold_nodes_do_not_allow_nodes(source: Path) -> None:
    allowed = "  endpoints: {outsideCIDRs: [192.0.2.0/24]}\n"
    assert [] == told(source, SLICE % "192.0.2.9", allowed)
    assert 1 == len(told(source, SLICE % "192.0.2.1", allowed))
    assert [] == told(source, SLICE % "192.0.2.1", "  endpoints: {nodes: true}\n")
    assert 1 == len(told(source, SLICE % "192.0.2.9", "  endpoints: {nodes: true}\n"))


def test_workload_addresses_need_no_word(source: Path) -> None:
    assert [] == told(source, SLICE % "10.244.7.9")


def test_a_range_that_is_none_is_a_fault_of_the_cluster(source: Path) -> None:
    found = told(source, "", "  endpoints: {outsideCIDRs: [192.0.2.1/24]}\n")
    assert 1 == len(found)
    assert "Cluster/lab: spec.endpoints.outsideCIDRs[0]: " in found[0]
