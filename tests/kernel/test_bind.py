"""The DNS dataplane and a real BIND 9. Needs root: a namespace of its own, where named runs."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import Record, zone_file, zones_of
from groundplane.dataplanes.dns.wire import later
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.net.dns_names import MAX_ALIASES
from groundplane.project.state import Member, NodeState, VirtualService
from tests.kernel.named import KEY, KNOWN, OTHER, OUTSIDE, PORT, SECRET, Resolver, Server, answered
from tests.kernel.spaces import namespace
from tests.kernel.world import run, within
from tests.states import BASE, external_name, headless, service, state, states

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

WEB = service("web", ["10.96.0.5", "fd00:96::5"])


# More addresses than BIND caches unless it is told to (max-records-per-type: 100).
MANY, ADDRESSES = "many.example.org.", [f"198.51.100.{number}" for number in range(1, 251)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with namespace("bind") as netns, ExitStack() as stack:
        stack.callback(Resolver(netns, known={**KNOWN, MANY: " ".join(ADDRESSES)}).close)
        started = Server(netns, tmp_path_factory.mktemp("bind"))
        stack.callback(started.stop)
        yield started


def test_what_was_written_is_read_and_served(server: Server) -> None:
    server.apply(state(WEB, headless("db", Member("db-0", "10.244.1.10", (80,)))))
    (answer,) = server.ask("web.default.svc.cluster.local", "A").answer
    assert ("10.96.0.5", 5) == (answer[0].to_text(), answer.ttl)
    (pointer,) = server.ask("5.0.96.10.in-addr.arpa", "PTR").answer
    assert "web.default.svc.cluster.local." == pointer[0].to_text()
    (member,) = server.ask("db-0.db.default.svc.cluster.local", "A").answer
    assert "10.244.1.10" == member[0].to_text()


INSIDE = "web.default.svc.cluster.local."


def test_an_external_name_leads_to_its_target(server: Server) -> None:
    """A plain question is answered as a whole: in our zone, over two of them, and forwarded."""
    server.apply(
        state(
            WEB,
            external_name("same", INSIDE.rstrip(".")),
            external_name("far", "same.default.svc.cluster.local"),
            external_name("out", OUTSIDE.rstrip(".")),
        )
    )
    same, far, out = (f"{name}.default.svc.cluster.local." for name in ("same", "far", "out"))
    inside = [f"{same} CNAME {INSIDE}", f"{INSIDE} A 10.96.0.5"]
    assert inside == answered(server, same)
    assert f"{INSIDE} AAAA fd00:96::5" == answered(server, same, "AAAA")[-1]
    assert [f"{far} CNAME {same}", *inside] == answered(server, far)
    assert [f"{out} CNAME {OUTSIDE}", f"{OUTSIDE} A 192.0.2.80"] == answered(server, out)


def test_an_external_name_whose_target_is_not_there_is_a_name_without_an_address(
    server: Server,
) -> None:
    server.apply(state(external_name("db", INSIDE.rstrip("."))))
    answer = server.ask("db.default.svc.cluster.local", "A")
    assert ("NXDOMAIN", 1) == (dns.rcode.to_text(answer.rcode()), len(answer.answer))


def test_a_name_may_become_another_kind_of_service_and_back(server: Server) -> None:
    """A CNAME stands alone (RFC 1034): what was there goes in the same update."""
    kinds = [WEB, external_name("web", OUTSIDE.rstrip(".")), headless("web", MEMBER)]
    for kind in (*kinds, *kinds[:2], kinds[0]):
        server.apply(state(kind))
        assert 0 == server.apply(state(kind))


def chain(length: int, target: str) -> list[VirtualService]:
    targets = [*(f"a{n}.default.svc.cluster.local" for n in range(1, length)), target]
    return [external_name(f"a{n}", each) for n, each in enumerate(targets)]


@pytest.mark.parametrize("target", [INSIDE, OUTSIDE])
def test_as_many_aliases_are_followed_as_check_accepts(server: Server, target: str) -> None:
    server.apply(state(WEB, *chain(MAX_ALIASES, target.rstrip("."))))
    assert f"{target} A " in answered(server, "a0.default.svc.cluster.local.")[-1]
    server.apply(state(WEB, *chain(MAX_ALIASES + 1, target.rstrip("."))))
    answer = server.ask("a0.default.svc.cluster.local.", "A")
    assert dns.rcode.SERVFAIL == answer.rcode()


def test_an_alias_that_leads_back_is_not_answered(server: Server) -> None:
    server.apply(state(external_name("a", "a.default.svc.cluster.local")))
    assert dns.rcode.SERVFAIL == server.ask("a.default.svc.cluster.local.", "A").rcode()


def test_name_of_others_may_have_many_addresses(server: Server) -> None:
    query = dns.message.make_query(MANY, "A")
    (found,) = server.send(query, tcp=True).answer
    assert {*ADDRESSES} == {each.to_text() for each in found}


@pytest.mark.parametrize("name", ["svc", "pod"])
def test_names_above_no_service_have_no_data(server: Server, name: str) -> None:
    server.apply(state())
    answer = server.ask(f"{name}.cluster.local", "A")
    assert (dns.rcode.NOERROR, []) == (answer.rcode(), answer.answer)


MEMBER = Member("db-0", "10.244.1.10", (80,))


@pytest.mark.parametrize(
    ("name", "type_", "code"),
    [
        ("web.default.svc.cluster.local", "TXT", "NOERROR"),
        ("default.svc.cluster.local", "A", "NOERROR"),  # an empty non-terminal
        ("none.default.svc.cluster.local", "A", "NXDOMAIN"),
        ("99.0.96.10.in-addr.arpa", "PTR", "NXDOMAIN"),
    ],
)
def test_what_is_not_there_is_told_for_five_seconds(
    server: Server, name: str, type_: str, code: str
) -> None:
    server.apply(state(WEB))
    answer = server.ask(name, type_)
    assert (code, []) == (dns.rcode.to_text(answer.rcode()), answer.answer)
    assert 5 == answer.authority[0].ttl


def served_here(wanted: NodeState) -> bool:
    return zones_of(wanted.base) == zones_of(BASE)


@settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(sequence=st.lists(states().filter(served_here), min_size=1, max_size=2))
def test_after_writing_the_difference_it_is_empty(
    server: Server, sequence: list[NodeState]
) -> None:
    for wanted in sequence:
        server.apply(wanted)
        before = server.serials()
        assert 0 == server.apply(wanted)
        assert before == server.serials()


def test_a_serial_rises_exactly_where_the_content_changes(server: Server) -> None:
    server.apply(state(WEB))
    before = server.serials()
    server.apply(state(service("web", ["10.96.0.6", "fd00:96::5"])))
    after = server.serials()
    assert {"cluster.local", "0.96.10.in-addr.arpa"} == {z for z in after if after[z] != before[z]}
    assert [] == [zone for zone in after if after[zone] < before[zone]]


def test_more_records_than_a_message_holds_are_written(server: Server) -> None:
    many = state(*(service(f"s-{n}", [f"10.96.0.{n}", f"fd00:96::{n:x}"]) for n in range(1, 150)))
    server.apply(many)
    assert 0 == server.apply(many)
    server.apply(state())


def test_an_update_takes_effect_on_the_content_that_it_was_made_for_only(server: Server) -> None:
    """Its prerequisite is the zone's SOA: what others changed meanwhile is read before."""
    plane = server.plane()
    server.apply(state(WEB))
    within(server.netns, partial(plane.read, BASE))
    server.apply(state())
    delta: Delta[Record, int] = Delta(delete=plane.render(BASE, WEB))
    with pytest.raises(ObjectsRefused, match=r"^cluster.local was changed by others meanwhile; "):
        within(server.netns, partial(plane.write, BASE, delta))


def test_records_of_other_types_are_removed(server: Server) -> None:
    server.apply(state(WEB))
    update = dns.update.UpdateMessage("cluster.local", keyring=server.tsig)
    web = "web.default.svc.cluster.local."
    update.add(web, 60, "MX", f"10 {web}")
    update.add(web, 60, "MX", "20 mail.example.org.")
    update.add("odd\\.label.cluster.local.", 60, "TXT", '"a b" "c\\"d"')
    update.add("sub.cluster.local.", 60, "NS", "ns.example.org.")
    answer = within(server.netns, partial(dns.query.tcp, update, "127.0.0.1", port=PORT, timeout=2))
    assert dns.rcode.NOERROR == answer.rcode()
    assert 3 == server.apply(state(WEB))
    assert 0 == server.apply(state(WEB))
    assert [] == server.ask(web, "MX").answer


def test_a_serial_does_not_fall_when_the_server_forgets_it(server: Server, tmp_path: Path) -> None:
    """A server that is reinstalled begins with serial 1: it is raised past all that was served."""
    kept = tmp_path / "serials.json"
    server.apply(state(WEB), kept)
    server.apply(state(), kept)
    before = server.serials()
    server.stop()
    for zone in zones_of(BASE):
        (server.directory / f"{zone}.zone").write_text(zone_file(zone, []))
        (server.journals / f"{zone}.jnl").unlink(missing_ok=True)
    server.process = server.start()
    assert {1} == set(server.serials().values())
    server.apply(state(), kept)
    after = server.serials()
    assert [] == [zone for zone in before if later(before[zone], after[zone])]
    assert later(after["cluster.local"], before["cluster.local"])
    server.apply(state(), kept)
    assert after == server.serials()


def test_what_the_server_forgets_without_power_is_there_again_by_the_agent(
    server: Server, tmp_path: Path
) -> None:
    """Journals are in memory: what was changed since a file was written is gone with it."""
    kept = tmp_path / "serials.json"
    server.apply(state(WEB), kept)
    before = server.serials()
    server.stop()
    for journal in server.journals.iterdir():
        journal.unlink()
    server.process = server.start()
    assert server.serials() != before
    assert server.apply(state(WEB), kept) > 0
    after = server.serials()
    assert [] == [zone for zone in before if later(before[zone], after[zone])]
    assert [f"{INSIDE} A 10.96.0.5"] == answered(server, INSIDE)


def test_a_server_that_is_told_to_stop_has_everything_in_its_files(server: Server) -> None:
    """As at a reboot, which takes the journals."""
    server.apply(state(WEB))
    before = server.serials()
    server.process.terminate()
    server.process.wait(20)
    for journal in server.journals.iterdir():
        journal.unlink()
    server.process = server.start()
    assert before == server.serials()
    assert 0 == server.apply(state(WEB))


def test_a_server_that_stopped_is_told_and_serves_the_same_when_it_is_back(server: Server) -> None:
    server.apply(state(WEB))
    before = server.serials()
    server.stop()
    with pytest.raises(KernelRefused, match=r"^the DNS server gave no zone cluster\.local: "):
        server.apply(state(WEB))
    server.process = server.start()
    assert before == server.serials()
    assert 0 == server.apply(state(WEB))


def test_one_connection_serves_many_changes_until_the_server_or_the_key_is_another(
    server: Server, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(KEY % SECRET)
    server.stop()  # nobody else is connected
    server.process = server.start()
    plane = server.plane(key)
    reconciler = Reconciler(plane)

    def changed(*services: VirtualService) -> int:
        return len(within(server.netns, partial(reconciler.apply, state(*services))))

    def connections() -> list[str]:
        listed = run(server.netns, "ss", "-Htn", "state", "established", "dport", f"{PORT}")
        return sorted(line.split()[2] for line in listed.splitlines())

    changed(WEB)
    before = connections()
    assert (1, True) == (len(before), changed() > 0)
    assert before == connections()
    server.stop()
    server.process = server.start()
    assert changed(WEB) > 0  # not refused first, which would read everything
    assert 1 == len(connections())
    key.write_text(KEY % OTHER)
    with pytest.raises(KernelRefused, match="NOTAUTH, BADSIG"):
        changed()
    key.write_text(KEY % SECRET)
    assert changed() > 0
    plane.close()
    assert [] == connections()


def test_what_is_on_disk_is_what_is_served(server: Server, tmp_path: Path) -> None:
    """The file and its journal together, at any moment, by BIND's own tool."""
    server.apply(state(WEB, headless("db", MEMBER)))
    for zone in zones_of(BASE):
        file, out = server.directory / f"{zone}.zone", tmp_path / "zone"
        subprocess.run(
            [
                *("named-compilezone", "-J", str(server.journals / f"{zone}.jnl")),
                *("-k", "fail", "-o", str(out), zone, str(file)),
            ],
            check=True,
            capture_output=True,
        )
        kept = dns.zone.from_file(str(out), zone, relativize=False)
        served = dns.zone.Zone(zone, relativize=False)
        query, _ = dns.xfr.make_query(served)
        query.use_tsig(server.tsig)
        transfer = partial(dns.query.inbound_xfr, "127.0.0.1", served, query, port=PORT)
        within(server.netns, transfer)
        assert served == kept


def test_our_own_updates_are_no_drift_and_those_of_others_are(server: Server) -> None:
    reconciler = Reconciler(server.plane())

    def applied(wanted: NodeState) -> int:
        return len(within(server.netns, partial(reconciler.apply, wanted)))

    def drifted() -> bool:
        return within(server.netns, reconciler.drift) is not None

    applied(state(WEB))
    assert not drifted()
    applied(state())
    applied(state(WEB))
    assert not drifted()
    server.apply(state())  # another dataplane, with the same key
    assert drifted()
    assert 0 < applied(state(WEB))
    assert not drifted()
