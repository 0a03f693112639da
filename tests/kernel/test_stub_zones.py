"""Names of other domains: those of a stub zone are its own servers', all others the forwarder's."""

from collections.abc import Iterator
from contextlib import ExitStack

import dns.rcode
import pytest

from groundplane.site.compiled import StubZone
from tests.kernel.named import FORWARDER, Resolver, Server
from tests.kernel.spaces import based, namespace
from tests.states import external_name, service, state

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CORP, LAB = "127.0.0.61", "127.0.0.62"
BASE = based(
    stub_zones=(
        StubZone("corp.example", (CORP,)),
        StubZone("lab.corp.example", (LAB,)),
        StubZone("dead.example", ("127.0.0.63",)),  # nobody is there
        StubZone("10.in-addr.arpa", (CORP,)),
    )
)
ASKED = {
    "corp.example.": CORP,
    "db.corp.example.": CORP,
    "a.b.corp.example.": CORP,
    "vm.lab.corp.example.": LAB,
    "7.7.7.10.in-addr.arpa.": CORP,
    "none.corp.example.": "",
    "notcorp.example.": FORWARDER,
    "example.": FORWARDER,
    "db.example.org.": FORWARDER,
}
OWN = {
    "web.default.svc.cluster.local.": dns.rcode.NOERROR,
    "corp.example.default.svc.cluster.local.": dns.rcode.NXDOMAIN,
    "7.0.96.10.in-addr.arpa.": dns.rcode.NXDOMAIN,  # below a stub zone, but of the site's range
}


@pytest.fixture(scope="module")
def resolvers() -> dict[str, Resolver]:
    return {}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, resolvers: dict[str, Resolver]
) -> Iterator[Server]:
    with namespace("stubs") as netns, ExitStack() as stack:
        for address in (FORWARDER, CORP, LAB):  # each answers with its own address
            known = {name: address for name in ASKED if ASKED[name]}
            resolvers[address] = Resolver(netns, address, known)
            stack.callback(resolvers[address].close)
        started = Server(netns, tmp_path_factory.mktemp("stubs"), BASE)
        stack.callback(started.stop)
        inside = external_name("inside", "db.corp.example")
        started.apply(state(service("web", ["10.96.0.5"]), inside, base=BASE))
        yield started


def answer(server: Server, name: str) -> str:
    found = server.ask(name, "A").answer
    return found[-1][0].to_text() if found else ""


@pytest.mark.parametrize(("name", "expected"), ASKED.items())
def test_a_name_is_asked_of_the_servers_of_the_longest_zone_and_of_no_others(
    server: Server, resolvers: dict[str, Resolver], name: str, expected: str
) -> None:
    assert expected == answer(server, name)
    others = {address for address in resolvers if name in resolvers[address].asked}
    assert {expected or CORP} == others


def test_where_its_servers_are_gone_nobody_else_is_asked(
    server: Server, resolvers: dict[str, Resolver]
) -> None:
    assert dns.rcode.SERVFAIL == server.ask("db.dead.example.", "A").rcode()
    assert [] == [
        address for address in resolvers if "db.dead.example." in resolvers[address].asked
    ]


def test_an_external_name_leads_into_a_stub_zone(server: Server) -> None:
    assert CORP == answer(server, "inside.default.svc.cluster.local.")


@pytest.mark.parametrize(("name", "code"), OWN.items())
def test_names_of_the_site_are_asked_of_nobody(
    server: Server, resolvers: dict[str, Resolver], name: str, code: dns.rcode.Rcode
) -> None:
    assert code == server.ask(name, "A").rcode()
    assert [] == [address for address in resolvers if name in resolvers[address].asked]
