"""Signed zones (`dnssec`): our dataplane beside BIND's signing, and answers as validators see them."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.xfr
import dns.zone
import pytest

from groundplane.dataplanes.dns import zones_of
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.project.state import Member, NodeBase
from tests.kernel.named import Server
from tests.kernel.spaces import based, namespace
from tests.kernel.world import within
from tests.states import external_name, headless, service, state
from tests.waiting import until

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

PLAIN, SIGNED = based(), based(dnssec=True)
WEB = service("web", ["10.96.0.5", "fd00:96::5"])
DB = headless("db", Member("db-0", "10.244.1.10", (80,)), Member("db-1", "10.244.2.10", (80,)))
MANY = headless("many", *(Member(f"m-{low}", f"10.244.100.{low}", (80,)) for low in range(1, 251)))
STATES = {
    "a service": state(WEB, base=SIGNED),
    "other addresses": state(service("web", ["10.96.0.6", "fd00:96::6"]), base=SIGNED),
    "headless": state(headless("web", Member("one", "10.244.1.10", (80,))), base=SIGNED),
    "an external name": state(external_name("web", "db.example.org"), base=SIGNED),
    "several": state(WEB, DB, base=SIGNED),
    "many": state(WEB, DB, MANY, base=SIGNED),
    "none": state(base=SIGNED),
}


def question(name: str, type_: str) -> dns.message.Message:
    return dns.message.make_query(name, type_, want_dnssec=True)


def is_signed(server: Server, zone: str) -> bool:
    """Return whether even an absent name of *zone* comes with signatures."""
    found = server.send(question(f"none.{zone}", "A"), tcp=True).authority
    return {"SOA", "RRSIG", "NSEC"} <= {dns.rdatatype.to_text(each.rdtype) for each in found}


def signed(server: Server) -> None:
    for zone in zones_of(server.base):
        until(partial(is_signed, server, zone))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with namespace("signed") as netns:
        started = Server(netns, tmp_path_factory.mktemp("signed"), SIGNED)
        try:
            signed(started)
            yield started
        finally:
            started.stop()


@pytest.mark.parametrize("name", STATES)
def test_after_each_change_there_is_nothing_left_to_change(server: Server, name: str) -> None:
    server.apply(STATES[name])
    assert 0 == server.apply(STATES[name])


def test_a_server_that_starts_again_has_the_records_and_the_signatures(server: Server) -> None:
    server.apply(STATES["several"])
    server.stop()
    server.process = server.start()
    assert 0 == server.apply(STATES["several"])
    server.apply(STATES["a service"])
    assert 0 == server.apply(STATES["a service"])
    signed(server)


def test_a_change_signs_what_it_brings(server: Server) -> None:
    server.apply(STATES["none"])
    reconciler = Reconciler(server.plane())
    for each in STATES.values():
        within(server.netns, partial(reconciler.apply, each))
        assert not within(server.netns, reconciler.drift)
        verified(server)


def test_signing_that_begins_later_is_no_conflict(tmp_path: Path) -> None:
    """It raises serials by itself, between a change of ours and the next."""
    with namespace("signed-later") as netns:
        server = Server(netns, tmp_path, PLAIN)
        try:
            reconciler = Reconciler(server.plane())
            apply = partial(within, netns)
            apply(partial(reconciler.apply, state(WEB)))
            restart(server, SIGNED)
            signed(server)
            apply(partial(reconciler.apply, state(WEB, DB)))
            assert ["10.244.1.10", "10.244.2.10"] == addresses(server, "db")
            assert 0 == server.apply(state(WEB, DB))
        finally:
            server.stop()


def is_plain(server: Server, zone: str) -> bool:
    types = {line.split()[3] for line in transferred(server, zone).splitlines()}
    return not types & {"DNSKEY", "RRSIG", "NSEC", "CDS", "CDNSKEY"}


def test_signing_may_end(tmp_path: Path) -> None:
    with namespace("signed-no-more") as netns:
        server = Server(netns, tmp_path, SIGNED)
        try:
            signed(server)
            server.apply(STATES["several"])
            restart(server, PLAIN)
            server.apply(state(WEB, DB))
            for zone in zones_of(PLAIN):
                until(partial(is_plain, server, zone))
            server.apply(state(service("web", ["10.96.0.6"])))
            assert ["10.96.0.6"] == addresses(server, "web")
            assert 0 == server.apply(state(service("web", ["10.96.0.6"])))
        finally:
            server.stop()


def restart(server: Server, base: NodeBase) -> None:
    server.stop()
    server.configure(base)
    server.process = server.start()


def addresses(server: Server, name: str) -> list[str]:
    answer = server.ask(f"{name}.default.svc.cluster.local", "A").answer
    return sorted(rdata.to_text() for rdata in answer[0])


# ------------------------------------------------------------------------------------------------


def anchored(server: Server, zone: str, *query: str) -> str:
    """Return what delv says about an answer, with the key of *zone* as its only trust."""
    (keys,) = server.ask(zone, "DNSKEY").answer
    lines = [
        '"{}" static-key {} {} {} "{}";'.format(zone, *key.to_text().split(" ", 3)) for key in keys
    ]
    anchors = server.directory / "anchors"
    anchors.write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n")
    command = ["delv", "@127.0.0.1", "-p", str(server.port), "-a", str(anchors), f"+root={zone}"]
    done = subprocess.run(
        ["ip", "netns", "exec", server.netns, *command, *query], capture_output=True, text=True
    )
    return done.stdout + done.stderr


V6 = "6.9.0.0.0.0.d.f.ip6.arpa"


@pytest.mark.parametrize(
    ("zone", "name", "type_", "said"),
    [
        ("cluster.local", "web.default.svc.cluster.local", "A", "fully validated"),
        ("cluster.local", "web.default.svc.cluster.local", "AAAA", "fully validated"),
        ("cluster.local", "_http._tcp.db.default.svc.cluster.local", "SRV", "fully validated"),
        ("cluster.local", "out.default.svc.cluster.local", "CNAME", "fully validated"),
        ("cluster.local", "dns-version.cluster.local", "TXT", "fully validated"),
        ("cluster.local", "web.default.svc.cluster.local", "TXT", "negative response, fully"),
        ("cluster.local", "default.svc.cluster.local", "A", "negative response, fully"),
        ("cluster.local", "none.default.svc.cluster.local", "A", "negative response, fully"),
        ("cluster.local", "*.default.svc.cluster.local", "A", "negative response, fully"),
        ("node.cluster.local", "n1.node.cluster.local", "A", "fully validated"),
        ("node.cluster.local", "n9.node.cluster.local", "A", "negative response, fully"),
        ("cluster.local", "n1.node.cluster.local", "A", "unsigned answer"),
        ("cluster.local", "n9.node.cluster.local", "A", "negative response, unsigned"),
        ("0.96.10.in-addr.arpa", "5.0.96.10.in-addr.arpa", "PTR", "fully validated"),
        ("0.96.10.in-addr.arpa", "9.0.96.10.in-addr.arpa", "PTR", "negative response, fully"),
        ("244.10.in-addr.arpa", "10.1.244.10.in-addr.arpa", "PTR", "fully validated"),
    ],
)
def test_an_answer_validates(server: Server, zone: str, name: str, type_: str, said: str) -> None:
    server.apply(state(WEB, DB, external_name("out", "db.example.org"), base=SIGNED))
    assert f"; {said}" in anchored(server, zone, name, type_)


def transferred(server: Server, zone: str) -> str:
    contents = dns.zone.Zone(zone, relativize=False)
    query, _ = dns.xfr.make_query(contents, keyring=server.tsig)
    transfer = partial(dns.query.inbound_xfr, "127.0.0.1", contents, query, port=server.port)
    within(server.netns, transfer)
    return str(contents.to_text(relativize=False))


def verified(server: Server) -> None:
    if shutil.which("ldns-verify-zone") is None:
        pytest.skip("ldns-verify-zone is not installed")
    for zone in zones_of(server.base):
        path = server.directory / "transferred"
        path.write_text(transferred(server, zone))
        done = subprocess.run(["ldns-verify-zone", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
