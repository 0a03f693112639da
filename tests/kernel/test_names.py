"""The names of the Kubernetes DNS specification 1.1.0, and no others, as clients get them."""

from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from groundplane.project.state import Member, NodeState, VirtualPort, VirtualService
from tests.kernel.named import Server
from tests.kernel.spaces import namespace
from tests.states import BASE, WORKLOADS, external_name, headless, service

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

PORTS = (VirtualPort("sql", "TCP", 5432, 0), VirtualPort("", "TCP", 9000, 0))
DB = VirtualService(
    "store",
    "db",
    (),
    PORTS,
    (
        Member("db-0", "10.244.1.10", (5432, 9000)),
        Member("db-0", "fd00:244:0:1::10", (5432, 9000)),
        Member("twins", "10.244.1.20", (5433, 9000)),
        Member("twins", "10.244.1.21", (5434, 0)),
        Member("10-244-2-10", "10.244.2.10", (5432, 9000)),
        Member("fd00-244-0-2--9", "fd00:244:0:2::9", (0, 9000)),
    ),
)
MANY = tuple(
    Member(f"10-244-{high}-{low}", f"10.244.{high}.{low}", (80,))
    for high in range(100, 104)
    for low in range(1, 251)
)
STATE = NodeState.of(
    BASE,
    [
        service("web", ["10.96.0.5", "fd00:96::5"]),
        service("old", ["10.96.0.6"], protocol="UDP", port=53),
        DB,
        headless("nobody"),
        VirtualService("empty", "nobody", (), PORTS),
        VirtualService("default", "wordy", ("10.96.0.7",), (VirtualPort("p" * 63, "TCP", 80, 0),)),
        headless("many", *MANY),
        external_name("inside", "web.default.svc.cluster.local"),
    ],
    WORKLOADS,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with namespace("names") as netns:
        started = Server(netns, tmp_path_factory.mktemp("names"))
        try:
            started.apply(STATE)
            yield started
        finally:
            started.stop()


def data(section: list[dns.rrset.RRset]) -> list[str]:
    """Return the records of *section* as `name TTL type data`, without the cluster domain."""
    lines = (
        f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}"
        for rrset in section
        for rdata in rrset
    )
    return sorted(line.replace(".cluster.local.", "") for line in lines)


def full(name: str) -> str:
    return name if name.endswith(".arpa") else f"{name}.cluster.local".removeprefix("@.")


V6 = "0.0.0.0.0.0.0.0"
SERVICES_V6, WORKLOADS_V6 = "6.9.0.0.0.0.d.f.ip6.arpa", "0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa"
WEB_V6 = f"5.0.0.0.{V6}.{V6}.0.0.0.0.{SERVICES_V6}"
DB_V6 = f"9.0.0.0.{V6}.0.0.0.0.2.0.0.0.{WORKLOADS_V6}"


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        ("dns-version", "TXT", ['"1.1.0"']),
        # 2.3: services with a cluster IP
        ("web.default.svc", "A", ["10.96.0.5"]),
        ("web.default.svc", "AAAA", ["fd00:96::5"]),
        ("old.default.svc", "A", ["10.96.0.6"]),
        ("wordy.default.svc", "A", ["10.96.0.7"]),  # without an SRV record: 63 and an underscore
        ("_http._tcp.web.default.svc", "SRV", ["0 100 80 web.default.svc"]),
        ("_http._udp.old.default.svc", "SRV", ["0 100 53 old.default.svc"]),
        ("5.0.96.10.in-addr.arpa", "PTR", ["web.default.svc"]),
        (WEB_V6, "PTR", ["web.default.svc"]),
        # 2.4: headless services
        ("db.store.svc", "A", ["10.244.1.10", "10.244.1.20", "10.244.1.21", "10.244.2.10"]),
        ("db.store.svc", "AAAA", ["fd00:244:0:1::10", "fd00:244:0:2::9"]),
        ("db-0.db.store.svc", "A", ["10.244.1.10"]),
        ("db-0.db.store.svc", "AAAA", ["fd00:244:0:1::10"]),
        ("twins.db.store.svc", "A", ["10.244.1.20", "10.244.1.21"]),
        ("10-244-2-10.db.store.svc", "A", ["10.244.2.10"]),
        ("fd00-244-0-2--9.db.store.svc", "AAAA", ["fd00:244:0:2::9"]),
        (
            "_sql._tcp.db.store.svc",
            "SRV",
            [
                "0 100 5432 10-244-2-10.db.store.svc",
                "0 100 5432 db-0.db.store.svc",
                "0 100 5433 twins.db.store.svc",
                "0 100 5434 twins.db.store.svc",
            ],
        ),
        ("10.1.244.10.in-addr.arpa", "PTR", ["db-0.db.store.svc"]),
        ("20.1.244.10.in-addr.arpa", "PTR", ["twins.db.store.svc"]),
        ("21.1.244.10.in-addr.arpa", "PTR", ["twins.db.store.svc"]),
        ("10.2.244.10.in-addr.arpa", "PTR", ["10-244-2-10.db.store.svc"]),
        (DB_V6, "PTR", ["fd00-244-0-2--9.db.store.svc"]),
        # 2.5: external names
        ("inside.default.svc", "CNAME", ["web.default.svc"]),
        # Beyond the specification: nodes, and workloads by their addresses
        ("n1.node", "A", ["192.0.2.1"]),
        ("n3.node", "AAAA", ["2001:db8::3"]),
        ("10-244-1-10.default.pod", "A", ["10.244.1.10"]),
        ("10-244-2-10.store.pod", "A", ["10.244.2.10"]),
        ("fd00-244-0-1--10.default.pod", "AAAA", ["fd00:244:0:1::10"]),
        # The zones themselves
        ("@", "NS", ["localhost."]),
        ("node", "NS", ["localhost."]),
        ("0.96.10.in-addr.arpa", "NS", ["localhost."]),
    ],
)
def test_a_name_has_exactly(server: Server, name: str, type_: str, expected: list[str]) -> None:
    answer = server.ask(full(name), type_)
    owner = full(name).removesuffix(".cluster.local") + "." * (
        not full(name).endswith(".cluster.local")
    )
    assert sorted(f"{owner} 5 {type_} {each}" for each in expected) == data(answer.answer)
    assert answer.flags & dns.flags.AA
    assert (dns.rcode.NOERROR, []) == (answer.rcode(), data(answer.authority)[1:])


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("_http._tcp.web", ["web.default.svc 5 A 10.96.0.5", "web.default.svc 5 AAAA fd00:96::5"]),
        ("_http._udp.old", ["old.default.svc 5 A 10.96.0.6"]),
    ],
)
def test_a_port_comes_with_the_addresses_of_its_target(
    server: Server, name: str, targets: list[str]
) -> None:
    assert targets == data(server.ask(full(f"{name}.default.svc"), "SRV").additional)


def test_a_headless_port_comes_with_the_addresses_of_every_endpoint(server: Server) -> None:
    assert [
        "10-244-2-10.db.store.svc 5 A 10.244.2.10",
        "db-0.db.store.svc 5 A 10.244.1.10",
        "db-0.db.store.svc 5 AAAA fd00:244:0:1::10",
        "twins.db.store.svc 5 A 10.244.1.20",
        "twins.db.store.svc 5 A 10.244.1.21",
    ] == data(server.ask(full("_sql._tcp.db.store.svc"), "SRV").additional)


def test_an_external_name_is_answered_with_its_target(server: Server) -> None:
    assert [
        "inside.default.svc 5 CNAME web.default.svc",
        "web.default.svc 5 A 10.96.0.5",
    ] == data(server.ask(full("inside.default.svc"), "A").answer)


@pytest.mark.parametrize(
    "zone", ["cluster.local", "node.cluster.local", "0.96.10.in-addr.arpa", WORKLOADS_V6]
)
def test_a_zone_begins_with_how_long_its_absent_names_are_absent(server: Server, zone: str) -> None:
    (soa,) = server.ask(zone, "SOA").answer
    assert (5, 5) == (soa.ttl, soa[0].minimum)
    assert f"hostmaster.{zone}." == soa[0].rname.to_text()


# ------------------------------------------------------------------------------------------------

THERE = [  # with other types only, or above a name
    ("@", "A"),
    ("svc", "A"),
    ("svc", "TXT"),
    ("pod", "A"),
    ("default.svc", "A"),
    ("default.svc", "AAAA"),
    ("empty.svc", "A"),  # of a namespace whose only service is headless, without an endpoint
    ("empty.svc", "TXT"),
    ("default.pod", "A"),
    ("store.svc", "SRV"),
    ("_tcp.web.default.svc", "SRV"),
    ("_udp.old.default.svc", "A"),
    ("_tcp.db.store.svc", "A"),
    ("web.default.svc", "MX"),
    ("web.default.svc", "HTTPS"),
    ("web.default.svc", "PTR"),
    ("web.default.svc", "NS"),
    ("web.default.svc", "SOA"),
    ("old.default.svc", "AAAA"),
    ("_http._tcp.web.default.svc", "A"),
    ("twins.db.store.svc", "AAAA"),
    ("10-244-2-10.store.pod", "AAAA"),
    ("dns-version", "A"),
    ("node", "A"),
    ("n1.node", "TXT"),
    ("5.0.96.10.in-addr.arpa", "A"),
    ("1.244.10.in-addr.arpa", "PTR"),
    (WORKLOADS_V6, "PTR"),
]
ABSENT = [
    ("none", "A"),
    ("none.svc", "A"),
    ("none.default.svc", "A"),
    ("nobody.default.svc", "A"),  # headless, without an endpoint
    ("nobody.empty.svc", "A"),
    ("_http._tcp.nobody.default.svc", "SRV"),
    ("below.web.default.svc", "A"),
    ("web.web.default.svc", "A"),
    ("10-244-1-10.web.default.svc", "A"),  # an endpoint of a service with a cluster IP
    ("below.db-0.db.store.svc", "A"),
    ("_sql._tcp.db-0.db.store.svc", "SRV"),
    ("_http._udp.web.default.svc", "SRV"),
    ("_9000._tcp.db.store.svc", "SRV"),
    ("db-1.db.store.svc", "A"),
    ("below.inside.default.svc", "A"),
    ("10-244-9-9.default.pod", "A"),
    ("10-244-1-10.none.pod", "A"),
    ("n9.node", "A"),
    ("below.n1.node", "A"),
    ("web.default", "A"),  # without svc: the client's search list completes it
    ("web", "A"),
    ("*.svc", "A"),
    ("*.default.svc", "A"),
    ("*.web.default.svc", "A"),
    ("*.db.store.svc", "A"),
    ("_*._tcp.web.default.svc", "SRV"),
    ("*._tcp.web.default.svc", "SRV"),
    ("99.0.96.10.in-addr.arpa", "PTR"),
    ("9.9.244.10.in-addr.arpa", "PTR"),
    (f"8{WEB_V6[1:]}", "PTR"),
    (f"8{DB_V6[1:]}", "PTR"),
]


def negative(server: Server, name: str, type_: str) -> tuple[str, list[str], list[tuple[str, int]]]:
    answer = server.ask(full(name), type_)
    authority = [(dns.rdatatype.to_text(rrset.rdtype), rrset.ttl) for rrset in answer.authority]
    assert answer.flags & dns.flags.AA
    return dns.rcode.to_text(answer.rcode()), data(answer.answer), authority


@pytest.mark.parametrize(("name", "type_"), THERE)
def test_a_name_that_is_there_has_no_other_data(server: Server, name: str, type_: str) -> None:
    assert ("NOERROR", [], [("SOA", 5)]) == negative(server, name, type_)


@pytest.mark.parametrize(("name", "type_"), ABSENT)
def test_any_other_name_is_not_there(server: Server, name: str, type_: str) -> None:
    assert ("NXDOMAIN", [], [("SOA", 5)]) == negative(server, name, type_)


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "type_", "code"),
    [
        ("wEb.deFAult.SVC.cLuster.lOcal.", "A", "NOERROR"),
        ("_HTTP._tcp.web.Default.svc.cluster.LOCAL.", "SRV", "NOERROR"),
        ("5.0.96.10.IN-addr.ARPA.", "PTR", "NOERROR"),
        ("NONE.default.svc.CLUSTER.local.", "A", "NXDOMAIN"),
    ],
)
def test_a_question_comes_back_in_its_own_case(
    server: Server, name: str, type_: str, code: str
) -> None:
    """Resolvers put entropy there (0x20): they drop what comes back otherwise."""
    answer = server.ask(name, type_)
    assert code == dns.rcode.to_text(answer.rcode())
    assert name == answer.question[0].name.to_text()
    assert {dns.name.from_text(name)} >= {rrset.name for rrset in answer.answer}


def question(name: str, type_: str = "A", payload: int = 0) -> dns.message.Message:
    edns = {"use_edns": 0, "payload": payload} if payload else {}
    return dns.message.make_query(full(name), type_, **edns)  # type: ignore[arg-type]


def test_who_speaks_edns_is_answered_so_and_who_does_not_is_not(server: Server) -> None:
    plain, extended = (server.send(question("web.default.svc", payload=n)) for n in (0, 1232))
    assert (-1, 0) == (plain.edns, extended.edns)
    assert 512 <= extended.payload
    assert data(plain.answer) == data(extended.answer)


def test_a_later_version_of_edns_is_answered_with_ours(server: Server) -> None:
    query = question("web.default.svc")
    query.use_edns(edns=1, payload=1232)
    answer = server.send(query)
    assert (dns.rcode.BADVERS, 0) == (answer.rcode(), answer.edns)


@pytest.mark.parametrize("payload", [0, 512, 1232, 4096])
def test_more_than_a_datagram_holds_is_cut_off_and_told_so(server: Server, payload: int) -> None:
    answer = server.send(question("many.default.svc", payload=payload))
    assert answer.flags & dns.flags.TC
    assert len(answer.to_wire()) <= max(512, payload)


@pytest.mark.parametrize("payload", [0, 1232])
def test_over_tcp_a_service_has_all_its_thousand_endpoints(server: Server, payload: int) -> None:
    answer = server.send(question("many.default.svc", payload=payload), tcp=True)
    assert not answer.flags & dns.flags.TC
    assert {each.address for each in MANY} == {each.to_text() for each in answer.answer[0]}
    ports = server.send(question("_http._tcp.many.default.svc", "SRV", payload), tcp=True)
    assert 1000 == len(ports.answer[0])


@pytest.mark.parametrize(("name", "payload"), [("db.store.svc", 0), ("web.default.svc", 512)])
def test_what_fits_into_a_datagram_is_whole(server: Server, name: str, payload: int) -> None:
    assert not server.send(question(name, payload=payload)).flags & dns.flags.TC


def test_a_question_of_any_type_is_answered_with_little(server: Server) -> None:
    """So that nobody is flooded with our answers (RFC 8482)."""
    assert 1 == len(server.ask(full("web.default.svc"), "ANY").answer)
    whole = server.send(question("web.default.svc", "ANY"), tcp=True)
    assert {"A", "AAAA"} <= {dns.rdatatype.to_text(each.rdtype) for each in whole.answer}


@pytest.mark.parametrize("type_", ["AXFR", "IXFR"])
def test_a_zone_is_not_to_be_had_without_the_key(server: Server, type_: str) -> None:
    query = question("@", type_)
    if type_ == "IXFR":
        query.authority = server.ask(full("@"), "SOA").answer
    assert dns.rcode.REFUSED == server.send(query, tcp=True).rcode()
