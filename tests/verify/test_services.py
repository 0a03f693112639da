"""Every service answers from every node and from every workload, by address and by name."""

import pytest

from groundplane.model import compiled
from groundplane.model.address import family_of
from groundplane.model.service import Family
from groundplane.resolve import serving_endpoints
from tests.verify.conftest import Probes


def _expected(service: compiled.Service, index: int, families: tuple[Family, ...]) -> str:
    """Return what a connection to port number *index* of *service* has to come to."""
    reachable = any(
        each.targets[index] and each.address(family)
        for each in serving_endpoints(service, frozenset())
        for family in families
    )
    return "connected" if reachable else "refused"


def _places(site: compiled.Site, node: str) -> list[str]:
    own = [f"{each.namespace}-{each.name}" for each in site.workloads if each.node == node]
    return ["", *own]


def _ports(service: compiled.Service) -> list[tuple[int, compiled.Port]]:
    return [(i, port) for i, port in enumerate(service.ports) if port.protocol == "TCP"]


def test_addresses_answer(
    probes: Probes, site: compiled.Site, node: str, service: compiled.Service
) -> None:
    if not service.cluster_ips or not _ports(service):
        pytest.skip("no cluster IP with a TCP port")
    for place in _places(site, node):
        seen = probes.of(node, place)
        for index, port in _ports(service):
            for ip in service.cluster_ips:
                expected = _expected(service, index, (family_of(ip),))
                assert expected == seen[f"tcp {ip} {port.port}"], place or node


def test_name_resolves_to_its_addresses(
    probes: Probes, site: compiled.Site, node: str, service: compiled.Service
) -> None:
    name = f"{service.name}.{service.namespace}.svc.{site.domain}"
    endpoints = serving_endpoints(service, frozenset())
    members = {each.address(f) for each in endpoints for f in service.families} - {""}
    expected = sorted(service.cluster_ips or members)
    for place in _places(site, node):
        assert expected == probes.of(node, place)[f"name {name} 0"], place or node


def test_name_answers(
    probes: Probes, site: compiled.Site, node: str, service: compiled.Service
) -> None:
    if not service.cluster_ips or not _ports(service):
        pytest.skip("no cluster IP with a TCP port")
    name = f"{service.name}.{service.namespace}.svc.{site.domain}"
    for place in _places(site, node):
        for index, port in _ports(service):
            expected = _expected(service, index, service.families)
            assert expected == probes.of(node, place)[f"tcp {name} {port.port}"], place or node
