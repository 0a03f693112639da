"""Names of the host itself and of nobody: no other server is asked for them (RFC 6303, 6761)."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from groundplane.site.compiled import StubZone
from tests.kernel.named import FORWARDER, Resolver, Server
from tests.kernel.spaces import based, namespace
from tests.states import service, state

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CORP = "127.0.0.61"
STUBS = (
    StubZone("20.10.in-addr.arpa", (CORP,)),
    StubZone("lab.home.arpa", (CORP,)),
    StubZone("7.254.169.in-addr.arpa", (CORP,)),
    StubZone("168.192.in-addr.arpa", (CORP,)),
    StubZone("corp.test", (CORP,)),
)
ASKED = (
    "1.1.20.10.in-addr.arpa.",
    "vm.lab.home.arpa.",
    "1.7.254.169.in-addr.arpa.",
    "1.1.168.192.in-addr.arpa.",
    "db.corp.test.",
)
IPV6 = ".".join("0" * 31) + ".ip6.arpa."
NONE_6 = ".".join("0" * 29)
HOST = {  # whoever else the site has
    ("localhost.", "A"): "127.0.0.1",
    ("localhost.", "AAAA"): "::1",
    ("web.localhost.", "A"): "127.0.0.1",
    ("1.0.0.127.in-addr.arpa.", "PTR"): "localhost.",
    (f"1.{IPV6}", "PTR"): "localhost.",
}
NOBODY = [
    "invalid.",
    "web.invalid.",
    "7.0.0.127.in-addr.arpa.",
    "0.0.0.0.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.",
    "1.1.254.169.in-addr.arpa.",
    f"0.{IPV6}",
    f"1.{NONE_6}.8.e.f.ip6.arpa.",
    f"1.{NONE_6}.b.e.f.ip6.arpa.",
]
PRIVATE = [
    "1.1.1.10.in-addr.arpa.",
    "1.1.16.172.in-addr.arpa.",
    "1.1.31.172.in-addr.arpa.",
    "1.1.64.100.in-addr.arpa.",
    "1.1.127.100.in-addr.arpa.",
    "1.2.0.192.in-addr.arpa.",
    f"1.{NONE_6}.0.d.f.ip6.arpa.",
    "web.test.",
    "vm.home.arpa.",
]


@pytest.fixture(scope="module", params=["alone", "with resolvers"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, dict[str, Resolver]]]:
    """Yield a server and the resolvers that it may ask, by their addresses."""
    forwarders = (FORWARDER,) if request.param == "with resolvers" else ()
    base = based(stub_zones=STUBS)
    with namespace("local") as netns, ExitStack() as stack:
        resolvers = {}
        for address in (FORWARDER, CORP):
            known = dict.fromkeys((*ASKED, *PRIVATE), address)
            resolvers[address] = Resolver(netns, address, known)
            stack.callback(resolvers[address].close)
        directory = tmp_path_factory.mktemp("local")
        started = Server(netns, directory, base, forwarders=forwarders)
        stack.callback(started.stop)
        started.apply(state(service("web", ["10.96.0.5"]), base=base))
        yield started, resolvers


Site = tuple[Server, dict[str, Resolver]]


@pytest.mark.parametrize(("name", "type_"), HOST)
def test_names_of_the_host_are_answered_here(site: Site, name: str, type_: str) -> None:
    server, resolvers = site
    (answer,) = server.ask(name, type_).answer
    assert HOST[name, type_] == answer[0].to_text()
    assert not [each for each in resolvers.values() if name in each.asked]


@pytest.mark.parametrize("name", NOBODY)
def test_names_of_nobody_are_answered_here(site: Site, name: str) -> None:
    server, resolvers = site
    answer = server.ask(name, "PTR")
    apex = name == answer.authority[0].name.to_text()
    assert (dns.rcode.NOERROR if apex else dns.rcode.NXDOMAIN) == answer.rcode()
    assert answer.flags & dns.flags.AA
    assert not [each for each in resolvers.values() if name in each.asked]


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names_are_those_of_the_sites_resolvers_or_of_nobody(site: Site, name: str) -> None:
    """Without resolvers of the site the root servers would be asked, who are not to be."""
    server, resolvers = site
    answer = server.ask(name, "A")
    if server.forwarders:
        assert FORWARDER == answer.answer[0][0].to_text()
        assert name in resolvers[FORWARDER].asked
    else:
        assert (dns.rcode.NXDOMAIN, []) == (answer.rcode(), answer.answer)
        assert answer.flags & dns.flags.AA


@pytest.mark.parametrize("name", ASKED)
def test_stub_zone_in_or_at_a_local_zone_is_asked(site: Site, name: str) -> None:
    server, resolvers = site
    assert CORP == server.ask(name, "A").answer[0][0].to_text()
    assert name not in resolvers[FORWARDER].asked


@pytest.mark.parametrize("name", ["5.0.96.10.in-addr.arpa.", "9.0.96.10.in-addr.arpa."])
def test_names_of_the_cluster_are_its_own(site: Site, name: str) -> None:
    server, resolvers = site
    known = name.startswith("5")
    code = server.ask(name, "PTR").rcode()
    assert (dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN) == code
    assert not [each for each in resolvers.values() if name in each.asked]


@pytest.mark.parametrize(
    ("cidr", "code"),
    [("10.96.0.0/24", dns.rcode.NXDOMAIN), ("10.96.0.0/25", dns.rcode.NOERROR)],
)
def test_address_without_a_name_is_not_there_or_has_no_data(
    tmp_path: Path, cidr: str, code: dns.rcode.Rcode
) -> None:
    """In a part of a /24 each address is a zone, whose name is there."""
    base = based(service_cidrs=(cidr, "fd00:96::/112"))
    with namespace("parts") as netns:
        server = Server(netns, tmp_path, base)
        try:
            server.apply(state(service("web", ["10.96.0.5"]), base=base))
            assert 1 == len(server.ask("5.0.96.10.in-addr.arpa.", "PTR").answer)
            answer = server.ask("9.0.96.10.in-addr.arpa.", "PTR")
            assert (code, []) == (answer.rcode(), answer.answer)
            assert answer.flags & dns.flags.AA
        finally:
            server.stop()
