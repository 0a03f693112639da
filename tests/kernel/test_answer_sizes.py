"""What a real BIND holds in a set and carries in an answer, beside what `check` says of it."""

from collections.abc import Callable, Iterable, Iterator

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from groundplane.check import answer_warnings, check_answers
from groundplane.documents.catalog import Catalog
from groundplane.errors import Fault
from groundplane.project.state import Member, NodeState, VirtualPort, VirtualService
from groundplane.site.compiled import Endpoint, Port, Service, Site, columns
from tests import catalogs
from tests.kernel.named import Server
from tests.kernel.spaces import namespace
from tests.states import state

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CATALOG = catalogs.catalog(catalogs.cluster("10.96.0.0/24"), catalogs.service("many"))
Check = Callable[[Catalog, Site], Iterable[Fault]]


def both(found: Catalog, site: Site) -> Iterable[Fault]:
    return [*check_answers(found, site), *answer_warnings(found, site)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with namespace("sizes") as netns:
        started = Server(netns, tmp_path_factory.mktemp("sizes"))
        try:
            yield started
        finally:
            started.stop()


def members(count: int, ipv6: bool, label: str) -> list[Member]:
    pairs = (divmod(number, 250) for number in range(1, count + 1))
    return [
        Member(
            f"{label}{high}-{low}" if label else "one",
            f"2001:db8::{high + 1:x}:{low:x}" if ipv6 else f"192.0.{high}.{low}",
            (80,),
        )
        for high, low in pairs
    ]


def most(check: Check, *, ipv6: bool, label: str) -> int:
    """Return how many endpoints a service has at most that *check* says nothing of."""

    def passes(count: int) -> bool:
        rows = [
            Endpoint("", "", m.label, "" if ipv6 else m.address, m.address if ipv6 else "", (80,))
            for m in members(count, ipv6, label)
        ]
        service = Service(
            "default",
            "many",
            families=("IPv6" if ipv6 else "IPv4",),
            ports=(Port("http", "TCP", 80),),
            endpoints=columns(rows),
        )
        site = Site(0, "cluster.local", (), (), (), True, (), (), (), (service,))
        return not list(check(CATALOG, site))

    low, high = 1, 12_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low


def served(count: int, ipv6: bool, label: str) -> NodeState:
    port = VirtualPort("http", "TCP", 80, 0)
    found = tuple(members(count, ipv6, label))
    return state(VirtualService("default", "many", (), (port,), found))


CASES = [
    pytest.param(False, "", "many", "A", id="A"),
    pytest.param(True, "", "many", "AAAA", id="AAAA"),
    pytest.param(False, "h", "_http._tcp.many", "SRV", id="SRV"),
    pytest.param(False, "h" * 50, "_http._tcp.many", "SRV", id="long SRV"),
]


def truncated(server: Server, name: str, type_: str) -> bool:
    query = dns.message.make_query(f"{name}.default.svc.cluster.local", type_, use_edns=0)
    query.use_edns(options=[dns.edns.CookieOption(b"12345678", b"")])
    return bool(server.send(query, tcp=True).flags & dns.flags.TC)


@pytest.mark.parametrize(("ipv6", "label", "name", "type_"), CASES)
def test_answer_that_check_says_nothing_of_is_whole(
    server: Server, ipv6: bool, label: str, name: str, type_: str
) -> None:
    fits = most(both, ipv6=ipv6, label=label)
    server.apply(served(fits, ipv6, label))
    assert not truncated(server, name, type_)
    server.apply(served(fits + 2, ipv6, label))
    assert truncated(server, name, type_)


@pytest.mark.parametrize(("ipv6", "label", "name", "type_"), CASES[1:])
def test_set_that_check_accepts_is_held_also_over_a_restart(
    server: Server, ipv6: bool, label: str, name: str, type_: str
) -> None:
    wanted = served(most(check_answers, ipv6=ipv6, label=label), ipv6, label)
    server.apply(wanted)
    server.process.terminate()  # BIND writes its files
    server.process.wait(20)
    for journal in server.journals.iterdir():
        journal.unlink()
    server.process = server.start()
    assert 0 == server.apply(wanted)
