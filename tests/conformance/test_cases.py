"""Every case of cases.py, by real sockets on every proxy dataplane, and by the simulator."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.net.address import family_of
from groundplane.net.protocols import Protocol
from groundplane.project import project
from groundplane.simulate import Outcome, Packet, Simulator
from groundplane.site import compiled
from tests.conformance.cases import (
    CASES,
    DROPPED,
    KEPT,
    MASQUERADED,
    NOT_KEPT_BY_IPVS,
    REFUSED,
    STICKY,
    Case,
)
from tests.kernel.ipvs import need_ipvs
from tests.kernel.spaces import own
from tests.kernel.world import World, ask, bridged, world

pytestmark = pytest.mark.kernel

MODES: Final[tuple[str, ...]] = ("nftables", "ipvs")
PROTOCOLS: Final[tuple[Protocol, ...]] = ("TCP", "UDP")
SERVERS: Final = (("a", 8080), ("b", 8081), ("c", 8080))
_PATIENCE: Final = 0.4


class Run(NamedTuple):
    """One case for one family and protocol."""

    case: Case
    family: str
    protocol: Protocol

    def __str__(self) -> str:
        return f"{name_of(self.case)}-{self.family}-{self.protocol}"


def name_of(case: Case) -> str:
    port = f":{case.port}" if case.port else ""
    return f"{case.client}-to-{case.destination}{port}"


def _runs(cases: list[Case]) -> list[Run]:
    return [
        Run(c, family, protocol) for c in cases for family in c.families for protocol in PROTOCOLS
    ]


RUNS: Final = _runs(CASES)
STICKY_RUNS: Final = _runs(STICKY)


@pytest.fixture(scope="session", params=MODES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> compiled.Site:
    source = tmp_path_factory.mktemp("conformance")
    text = Path(__file__).with_name("site.yaml").read_text()
    head, spec, rest = text.partition("spec:\n")
    (source / "site.yaml").write_text(f"{head}{spec}  proxyMode: {request.param}\n{rest}")
    catalog = load(source)
    assert [] == check(catalog)
    return compile_site(catalog, allocate(catalog, Lock()))


def _destination(site: compiled.Site, run: Run) -> tuple[str, int]:
    """Return address and port that *run* asks."""
    case, family = run.case, run.family
    if " | " in case.destination:
        return case.destination.split(" | ")[family == "IPv6"], case.port or 80
    name, at, node = case.destination.partition("@")
    name, _, way = name.partition("/")
    service = next(each for each in site.services if each.name == name)
    if at:
        addresses = next(each.addresses for each in site.nodes if each.name == node)
        port = next(p.node_port for p in service.ports if p.protocol == run.protocol)
    else:
        ways = {"": service.cluster_ips, "external": service.external_ips,
                "balanced": service.load_balancer_ips}  # fmt: skip
        addresses, port = ways[way], 80
    return next(each for each in addresses if family_of(each) == family), case.port or port


@pytest.fixture(scope="session")
def built(site: compiled.Site) -> Iterator[World]:
    if site.nodes[0].proxy_mode == "ipvs":
        need_ipvs()
    with world(site, own("c")) as built:
        for name, port in SERVERS:
            built.serve(built.workload(name), name, port)
        built.serve(built.client, "outside", 9000)
        for node in site.nodes:
            # A datagram's answer has to come from the address that was asked.
            built.serve(built.node(node.name), node.name, 8090, node.addresses)
            built.serve(built.node(node.name), "sshd", 22)
        yield built


@pytest.fixture(scope="session", params=[0, 1], ids=["plain", "bridged"])
def net(built: World, request: pytest.FixtureRequest) -> World:
    """Return the site; *bridged* is as Docker sets it: br_netfilter shows frames to IP's own rules."""
    for node in built.site.nodes:
        bridged(built.node(node.name), request.param)
    return built


@pytest.fixture(scope="session")
def answers(net: World) -> dict[Run, list[str]]:
    """Return what every run gets, all asked side by side: a drop takes its time."""

    def once(run: Run) -> list[str]:
        address, port = _destination(net.site, run)
        many = 16 * len(run.case.expected) if isinstance(run.case.expected, tuple) else 1
        place = net.place(run.case.client)
        patience = _PATIENCE if run.case.expected == DROPPED else 10.0
        return ask(place, address, port, run.protocol, times=many, patience=patience)

    runs = [*RUNS, *STICKY_RUNS]
    with ThreadPoolExecutor(24) as threads:
        return dict(zip(runs, threads.map(once, runs), strict=True))


@pytest.mark.parametrize("client", ["a", "c", "n1", "n2", "near", "far"])
def test_no_listener_of_the_host_answers_on_a_service_address(net: World, client: str) -> None:
    """ssh listens on 0.0.0.0 and :: of every node, and is tried on every address of every service."""
    every = [
        address
        for service in net.site.services
        for address in (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips)
    ]
    assert len(every) > 90
    with ThreadPoolExecutor(8) as threads:
        place = net.place(client)
        once = partial(ask, place, port=22, protocol="TCP")
        seen = [answer for (answer,) in threads.map(once, every)]
    assert [] == [pair for pair in zip(every, seen, strict=True) if pair[1] != REFUSED]


def _accepted(run: Run) -> set[str]:
    """Return how a connection may fail that is to fail as *run* says."""
    failure = str(run.case.expected)
    if failure == DROPPED and run.case.client in ("n1", "n2"):
        # In the node's own output hook; for a datagram, sendto(2) says it as of a refusal.
        return {DROPPED, REFUSED if run.protocol == "UDP" else "Operation not permitted"}
    return {failure}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_packets(net: World, answers: dict[Run, list[str]], case: Case) -> None:
    assert [] == [
        f"{run}: {fault}" for run in _runs([case]) for fault in _faults(net, run, answers[run])
    ]


def _faults(net: World, run: Run, seen: list[str]) -> Iterator[str]:
    """Yield what of *seen* is not as *run* has it."""
    if isinstance(run.case.expected, str):
        if not set(seen) <= _accepted(run):
            yield f"expected {run.case.expected}, got {seen}"
        return
    if set(run.case.expected) != {each.split()[0] for each in seen}:
        yield f"expected {run.case.expected}, got {seen}"
        return
    yield from _source_faults(net, run, {each.split()[1] for each in seen})


def _source_faults(net: World, run: Run, seen: set[str]) -> Iterator[str]:
    own = set(net.addresses(run.case.client))
    if run.case.source == KEPT and not seen <= own:
        yield f"expected {KEPT}, seen {seen}"
    if run.case.source == MASQUERADED:
        nodes = {a for node in net.site.nodes for a in node.addresses}
        ours = all(each in nodes or each.startswith(("10.244.", "fd00:244:")) for each in seen)
        if not ours or (run.case.client not in ("n1", "n2") and seen & own):
            yield f"expected {MASQUERADED}, seen {seen}"


@pytest.mark.parametrize("case", STICKY, ids=name_of)
def test_a_client_stays_with_its_endpoint(
    net: World, answers: dict[Run, list[str]], case: Case
) -> None:
    mode = net.site.nodes[0].proxy_mode
    is_kept = mode == "nftables" or (case.client, case.destination) not in NOT_KEPT_BY_IPVS
    for run in _runs([case]):
        seen = {each.split()[0] for each in answers[run]}
        assert is_kept is (1 == len(seen)), run
        assert seen <= set(case.expected), run
        assert [] == [*_source_faults(net, run, {each.split()[1] for each in answers[run]})], run


@pytest.fixture(scope="session")
def simulators(site: compiled.Site) -> dict[str, Simulator]:
    return {node.name: Simulator(project(site, node.name, frozenset())) for node in site.nodes}


def _simulated(site: compiled.Site, simulators: dict[str, Simulator], run: Run) -> Outcome:
    """Return what becomes of the packet on the first node that looks at it."""
    address, port = _destination(site, run)
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
    for run in _runs([case]):
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
