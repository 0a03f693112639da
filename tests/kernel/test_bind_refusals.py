"""What BIND refuses of the DNS dataplane, and that everything else is written."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import msgspec
import pytest

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import Record
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import KernelRefused, ObjectsRefused, StateError
from groundplane.project.state import Member
from tests.kernel.named import KEY, OTHER, PORT, Server, answered
from tests.kernel.spaces import based, namespace
from tests.kernel.world import within
from tests.states import BASE, headless, service, state

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

WEB = service("web", ["10.96.0.5", "fd00:96::5"])
INSIDE = "web.default.svc.cluster.local."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with namespace("refusing") as netns:
        started = Server(netns, tmp_path_factory.mktemp("refusing"))
        yield started
        started.stop()


@pytest.mark.parametrize("plain", [True, False], ids=["no key", "a wrong key"])
def test_without_the_key_nothing_is_changed_or_transferred(server: Server, plain: bool) -> None:
    server.apply(state(WEB))
    before = server.serials()
    update = dns.update.UpdateMessage("cluster.local")
    update.add("intruder.cluster.local.", 5, "A", "192.0.2.66")
    contents = dns.zone.Zone("cluster.local", relativize=False)
    query, _ = dns.xfr.make_query(contents)
    if not plain:
        for message in (update, query):
            message.use_tsig(dns.tsig.Key("groundplane", OTHER))
    code = dns.rcode.REFUSED if plain else dns.rcode.NOTAUTH
    send = partial(dns.query.tcp, update, "127.0.0.1", port=PORT, timeout=2)
    with suppress(dns.exception.DNSException):
        assert code == within(server.netns, send).rcode()
    transfer = partial(dns.query.inbound_xfr, "127.0.0.1", contents, query, port=PORT, lifetime=2)
    with pytest.raises(dns.exception.DNSException):
        within(server.netns, transfer)
    assert before == server.serials()
    assert "NXDOMAIN" == dns.rcode.to_text(server.ask("intruder.cluster.local", "A").rcode())


def refused(server: Server, key: Path) -> str:
    plane = server.plane(key)
    with pytest.raises((KernelRefused, StateError)) as error:
        within(server.netns, partial(Reconciler(plane).apply, state(WEB)))
    assert [str(error.value)] == str(error.value).splitlines()
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (KEY % OTHER, "the DNS server gave no zone cluster.local: "),
        ("", "{key}: no secret in it"),
        (KEY % "x", "{key}: the secret is not base64: "),
        (KEY % "", "{key}: no secret in it"),
        (None, "{key}: No such file or directory"),
    ],
)
def test_a_key_that_is_none_is_told(
    server: Server, tmp_path: Path, content: str | None, expected: str
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
    assert refused(server, key).startswith(expected.replace("{key}", str(key)))


def test_a_zone_that_is_not_served_is_told(server: Server) -> None:
    base = based(domain="other.example")
    with pytest.raises(KernelRefused, match=r"^the DNS server gave no zone other.example: "):
        within(server.netns, partial(Reconciler(server.plane()).apply, state(base=base)))


def written(server: Server, *records: Record) -> dict[object, str]:
    """Write *records* beside what is there; return what is refused, and why."""
    plane = server.plane()
    within(server.netns, partial(plane.read, BASE))
    try:
        within(server.netns, partial(plane.write, BASE, Delta(create=dict.fromkeys(records, 5))))
    except ObjectsRefused as error:
        return dict(error.reasons)
    return {}


GOOD = [Record("cluster.local", f"good-{n}.cluster.local.", "A", "192.0.2.1") for n in range(40)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            Record("cluster.local", "a." * 130 + "cluster.local.", "A", "192.0.2.1"),
            r"^a\.a\..* A cannot be written: .* is longer than 255 characters$",
        ),
        (
            Record("cluster.local", "bad.cluster.local.", "A", "192.0.2.999"),
            r"^bad.cluster.local. A cannot be written: ",
        ),
        (
            Record("cluster.local", "www.example.org.", "A", "192.0.2.1"),
            r"^the DNS server took no update of www.example.org.: NOTZONE$",
        ),
    ],
    ids=["too long", "no address", "outside"],
)
def test_record_that_is_refused_keeps_no_other_from_being_written(
    server: Server, bad: Record, reason: str
) -> None:
    server.apply(state())
    refusals = written(server, *GOOD[:20], bad, *GOOD[20:], *POINTERS)
    assert [bad] == list(refusals)
    assert re.search(reason, refusals[bad])
    assert 41 == server.apply(state())


POINTERS = [Record("0.96.10.in-addr.arpa", "7.0.96.10.in-addr.arpa.", "PTR", "good.example.")]


def test_name_whose_set_is_refused_keeps_the_one_that_it_has(server: Server) -> None:
    """As one of more than 64 KiB, which check refuses before."""
    label = "h" * 60
    few, many = (
        headless(
            "many", *(Member(f"{label}{n:03d}", f"192.0.2.{n % 9}", (80,)) for n in range(last))
        )
        for last in (3, 700)
    )
    server.apply(state(few))
    with pytest.raises(ObjectsRefused) as error:
        server.apply(state(many, WEB))
    assert ["Service/default/many"] == list(error.value.reasons)
    assert str(error.value) == (
        "Service/default/many: the DNS server took no update of "
        "_http._tcp.many.default.svc.cluster.local.: SERVFAIL"
    )
    assert 3 == len(answered(server, "_http._tcp.many.default.svc.cluster.local.", "SRV"))
    assert [f"{INSIDE} A 10.96.0.5"] == answered(server, INSIDE)


def test_zone_that_takes_nothing_is_named_alone(server: Server) -> None:
    server.apply(state())
    outside = [Record("cluster.local", f"{n}.example.org.", "A", "192.0.2.1") for n in range(30)]
    assert {
        "zone cluster.local": "the DNS server took no update of cluster.local: NOTZONE"
    } == written(server, *outside, *POINTERS)
    assert 1 == server.apply(state())


def test_zone_that_is_not_served_keeps_no_other_from_being_written(server: Server) -> None:
    server.apply(state())
    base = msgspec.structs.replace(BASE, workload_cidrs=("10.245.0.0/16", "fd00:244::/48"))
    db = headless("db", Member("db-0", "10.245.1.10", (80,)))
    with pytest.raises(ObjectsRefused, match=UNSERVED) as error:
        server.apply(state(WEB, db, base=base))
    assert ["zone 245.10.in-addr.arpa"] == list(error.value.reasons)
    assert [f"{INSIDE} A 10.96.0.5"] == answered(server, INSIDE)
    assert ["10.245.1.10"] == [
        line.split()[2] for line in answered(server, "db.default.svc.cluster.local.")
    ]


UNSERVED = "^the DNS server gave no zone 245.10.in-addr.arpa: NOTAUTH$"
