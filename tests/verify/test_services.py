"""Every service answers from every node and from every workload, by address and by name."""

import pytest

from groundplane.net.address import family_of
from groundplane.project import NodeState
from groundplane.project.select_endpoints import NOWHERE, select_endpoints
from groundplane.simulate import Packet, Simulator
from groundplane.site import compiled
from tests.verify.conftest import Probes, Reached

_SEEN = {"translated": "connected", "refused": "refused", "dropped": "timed out"}


def _expected(wanted: NodeState, place: str, address: str, port: int) -> str:
    """Return what a connection from *place* (a workload of the node, or "") has to come to."""
    own = {each.instance: each.addresses for each in wanted.base.workloads}
    sources = own.get(place, wanted.base.addresses)
    source = next(text for text in sources if family_of(text) == family_of(address))
    packet = Packet("TCP", source, address, port, sent_here=not place)
    return _SEEN[Simulator(wanted).run(packet).verdict]


def _places(site: compiled.Site, node: str) -> list[str]:
    own = [f"{each.namespace}-{each.name}" for each in site.workloads if each.node == node]
    return ["", *own]


def _ports(service: compiled.Service) -> list[tuple[int, compiled.Port]]:
    return [(i, port) for i, port in enumerate(service.ports) if port.protocol == "TCP"]


def test_addresses_answer(
    probes: Probes,
    site: compiled.Site,
    node: str,
    service: compiled.Service,
    wanted: NodeState,
    reached: Reached,
) -> None:
    if not service.cluster_ips or not _ports(service):
        pytest.skip("no cluster IP with a TCP port")
    for place in _places(site, node):
        seen = probes.of(node, place)
        for _, port in _ports(service):
            for ip in (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips):
                asked, expected = f"tcp {ip} {port.port}", _expected(wanted, place, ip, port.port)
                reached.expect(place, asked, expected, seen[asked])
    reached.all_right()


def test_name_resolves_to_its_addresses(
    probes: Probes, site: compiled.Site, node: str, service: compiled.Service, reached: Reached
) -> None:
    name = f"{service.name}.{service.namespace}.svc.{site.domain}"
    if service.external_name:
        pytest.skip("an ExternalName's addresses are not ours to tell")
    rows = service.endpoints.rows()
    chosen = [rows[index] for index in select_endpoints(service, NOWHERE, frozenset()).cluster]
    members = {each.address(f) for each in chosen for f in service.families} - {""}
    expected = sorted(service.cluster_ips or members)
    for place in _places(site, node):
        reached.expect(place, name, expected, probes.of(node, place)[f"name {name} 0"])
    reached.all_right()


def test_name_answers(
    probes: Probes,
    site: compiled.Site,
    node: str,
    service: compiled.Service,
    wanted: NodeState,
    reached: Reached,
) -> None:
    if not service.cluster_ips or not _ports(service):
        pytest.skip("no cluster IP with a TCP port")
    name = f"{service.name}.{service.namespace}.svc.{site.domain}"
    for place in _places(site, node):
        for _, port in _ports(service):
            ways = {_expected(wanted, place, ip, port.port) for ip in service.cluster_ips}
            expected = "connected" if "connected" in ways else ways.pop()
            asked = f"tcp {name} {port.port}"
            reached.expect(place, asked, expected, probes.of(node, place)[asked])
    reached.all_right()
