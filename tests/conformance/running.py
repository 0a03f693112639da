"""Runs the cases of cases.py by real sockets, on a site whose nodes have one proxy mode."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.load import load
from groundplane.net.address import family_of
from groundplane.net.protocols import Protocol
from groundplane.site import compiled
from tests.conformance.cases import (
    CASES,
    DROPPED,
    KEPT,
    MASQUERADED,
    NOT_KEPT,
    REFUSED,
    STICKY,
    Case,
)
from tests.kernel.world import World, ask, world

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


def runs_of(cases: list[Case]) -> list[Run]:
    return [
        Run(c, family, protocol) for c in cases for family in c.families for protocol in PROTOCOLS
    ]


RUNS: Final = runs_of(CASES)
STICKY_RUNS: Final = runs_of(STICKY)


def site_of(mode: str, source: Path) -> compiled.Site:
    """Return the site of all cases, with that proxy mode of every node."""
    text = Path(__file__).with_name("site.yaml").read_text()
    head, spec, rest = text.partition("spec:\n")
    (source / "site.yaml").write_text(f"{head}{spec}  proxyMode: {mode}\n{rest}")
    catalog = load(source)
    assert [] == check(catalog)
    return compile_site(catalog, allocate(catalog, Lock()))


def destination_of(site: compiled.Site, run: Run) -> tuple[str, int]:
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


@contextmanager
def served(site: compiled.Site, prefix: str) -> Iterator[World]:
    """Build *site*, with a server wherever a case expects one."""
    with world(site, prefix) as built:
        for name, port in SERVERS:
            built.serve(built.workload(name), name, port)
        built.serve(built.client, "outside", 9000)
        for node in site.nodes:
            # A datagram's answer has to come from the address that was asked.
            built.serve(built.node(node.name), node.name, 8090, node.addresses)
            built.serve(built.node(node.name), "sshd", 22)
        yield built


def answers_of(net: World) -> dict[Run, list[str]]:
    """Return what every run gets, all asked side by side: a drop takes its time."""

    def once(run: Run) -> list[str]:
        address, port = destination_of(net.site, run)
        many = 16 * len(run.case.expected) if isinstance(run.case.expected, tuple) else 1
        place = net.place(run.case.client)
        patience = _PATIENCE if run.case.expected == DROPPED else 10.0
        return ask(place, address, port, run.protocol, times=many, patience=patience)

    runs = [*RUNS, *STICKY_RUNS]
    with ThreadPoolExecutor(24) as threads:
        return dict(zip(runs, threads.map(once, runs), strict=True))


def listeners_asked(net: World, client: str) -> list[tuple[str, str]]:
    """Return the addresses of services by which ssh of a node answers *client*, and what it says.

    It listens on 0.0.0.0 and :: of every node, and is tried on every address of every service.
    """
    every = [
        address
        for service in net.site.services
        for address in (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips)
    ]
    assert len(every) > 90
    with ThreadPoolExecutor(8) as threads:
        once = partial(ask, net.place(client), port=22, protocol="TCP")
        seen = [answer for (answer,) in threads.map(once, every)]
    return [pair for pair in zip(every, seen, strict=True) if pair[1] != REFUSED]


def faults(net: World, answers: dict[Run, list[str]], case: Case) -> list[str]:
    """Return what of the answers to *case* is not as it has it."""
    return [
        f"{run}: {fault}" for run in runs_of([case]) for fault in _faults(net, run, answers[run])
    ]


def sticky_faults(net: World, answers: dict[Run, list[str]], case: Case) -> list[str]:
    """Return the same of a case of STICKY: whether the client stays with its endpoint."""
    found: list[str] = []
    mode = net.site.nodes[0].proxy_mode
    is_kept = (case.client, case.destination) not in NOT_KEPT.get(mode, ())
    for run in runs_of([case]):
        seen = {each.split()[0] for each in answers[run]}
        if is_kept != (1 == len(seen)) or not seen <= set(case.expected):
            found.append(f"{run}: answered by {seen}")
        clients = {each.split()[1] for each in answers[run]}
        found += [f"{run}: {fault}" for fault in _source_faults(net, run, clients)]
    return found


def _accepted(run: Run) -> set[str]:
    """Return how a connection may fail that is to fail as *run* says."""
    failure = str(run.case.expected)
    if failure == DROPPED and run.case.client in ("n1", "n2"):
        # In the node's own output hook; for a datagram, sendto(2) says it as of a refusal.
        return {DROPPED, REFUSED if run.protocol == "UDP" else "Operation not permitted"}
    return {failure}


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
