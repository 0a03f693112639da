"""Every case of cases.py, by real sockets on every proxy dataplane, and by the simulator."""

from collections.abc import Iterator
from typing import Final

import pytest

from groundplane.net.address import family_of
from groundplane.project import project
from groundplane.simulate import Outcome, Packet, Simulator
from groundplane.site import compiled
from tests.conformance.cases import CASES, MASQUERADED, REFUSED, STICKY, Case
from tests.conformance.running import (
    RUNS,
    STICKY_RUNS,
    Run,
    answers_of,
    destination_of,
    faults,
    listeners_asked,
    name_of,
    runs_of,
    served,
    site_of,
    sticky_faults,
)
from tests.kernel.ipvs import need_ipvs
from tests.kernel.spaces import own
from tests.kernel.world import World, bridged

pytestmark = pytest.mark.kernel

MODES: Final[tuple[str, ...]] = ("nftables", "ipvs")


@pytest.fixture(scope="session", params=MODES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> compiled.Site:
    return site_of(request.param, tmp_path_factory.mktemp("conformance"))


@pytest.fixture(scope="session")
def built(site: compiled.Site) -> Iterator[World]:
    if site.nodes[0].proxy_mode == "ipvs":
        need_ipvs()
    with served(site, own("c")) as built:
        yield built


@pytest.fixture(scope="session", params=[0, 1], ids=["plain", "bridged"])
def net(built: World, request: pytest.FixtureRequest) -> World:
    """Return the site; *bridged* is as Docker sets it: br_netfilter shows frames to IP's own rules."""
    for node in built.site.nodes:
        bridged(built.node(node.name), request.param)
    return built


@pytest.fixture(scope="session")
def answers(net: World) -> dict[Run, list[str]]:
    return answers_of(net)


@pytest.mark.parametrize("client", ["a", "c", "n1", "n2", "near", "far"])
def test_no_listener_of_the_host_answers_on_a_service_address(net: World, client: str) -> None:
    assert [] == listeners_asked(net, client)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_packets(net: World, answers: dict[Run, list[str]], case: Case) -> None:
    assert [] == faults(net, answers, case)


@pytest.mark.parametrize("case", STICKY, ids=name_of)
def test_a_client_stays_with_its_endpoint(
    net: World, answers: dict[Run, list[str]], case: Case
) -> None:
    assert [] == sticky_faults(net, answers, case)


@pytest.fixture(scope="session")
def simulators(site: compiled.Site) -> dict[str, Simulator]:
    return {node.name: Simulator(project(site, node.name, frozenset())) for node in site.nodes}


def _simulated(site: compiled.Site, simulators: dict[str, Simulator], run: Run) -> Outcome:
    """Return what becomes of the packet on the first node that looks at it."""
    address, port = destination_of(site, run)
    client, at = run.case.client, run.case.destination.partition("@")[2]
    own = {n.name: n.addresses for n in site.nodes} | {w.name: w.addresses for w in site.workloads}
    own |= {"near": ("192.168.77.1", "fd77::1"), "far": ("192.168.77.2", "fd77::2")}
    nodes = {w.name: w.node for w in site.workloads}
    nodes |= {n.name: n.name for n in site.nodes} | {"near": "n1", "far": "n2"}
    source = next(each for each in own[client] if family_of(each) == run.family)
    here = at or nodes[client]
    return simulators[here].run(Packet(run.protocol, source, address, port, client == here))


def _answering(site: compiled.Site, address: str, port: int) -> str:
    """Return who answers at *address*."""
    if port == 9000:
        return "outside"
    own = {a: n.name for n in site.nodes for a in n.addresses}
    return (own | {a: w.name for w in site.workloads for a in w.addresses})[address]


@pytest.mark.parametrize("case", [*CASES, *STICKY], ids=name_of)
def test_the_simulator_says_the_same(
    site: compiled.Site, simulators: dict[str, Simulator], case: Case
) -> None:
    for run in runs_of([case]):
        outcome = _simulated(site, simulators, run)
        if isinstance(case.expected, str):
            # Nobody listens there: an address of the host is none of ours.
            seen = outcome.verdict if outcome.verdict != "untouched" else REFUSED
            assert case.expected == seen, run
            continue
        assert "translated" == outcome.verdict, run
        found = {_answering(site, *target) for target in outcome.targets}
        assert found <= set(case.expected), run
        assert case in STICKY or found == set(case.expected), run
        if case.source and case.client not in ("n1", "n2"):
            assert {case.source == MASQUERADED} == set(outcome.targets.values()), run


def test_there_are_cases_enough() -> None:
    names = {str(run) for run in (*RUNS, *STICKY_RUNS)}
    assert len(names) == len(RUNS) + len(STICKY_RUNS) >= 600
