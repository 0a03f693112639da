"""Messages about zones, beside dnspython's."""

from contextlib import suppress

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.renderer
import dns.rrset
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.dns import wire
from groundplane.dataplanes.dns.records import Record, render
from groundplane.dataplanes.dns.wire import Soa, ZoneChange
from groundplane.errors import StateError
from groundplane.project.state import NodeState
from tests.states import states

SOA = Soa("localhost.", "hostmaster.cluster.local.", 7, 7200, 1800, 86400, 5)
LABELS = st.text(st.characters(codec="latin-1"), min_size=1, max_size=12).map(
    lambda text: text.encode("latin-1")
)
NAMES = st.lists(LABELS, max_size=6).map(lambda labels: dns.name.Name([*labels, b""]))


@given(name=NAMES)
def test_a_name_is_encoded_as_dnspython_does(name: dns.name.Name) -> None:
    assert name.to_wire() == wire.name(name.to_text())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a..b.", "a label has 1 to 63 characters"),
        (f"{'a' * 64}.", "a label has 1 to 63 characters"),
        (".".join(["a" * 63] * 4) + ".", "it is longer than 255 characters"),
    ],
)
def test_what_is_no_name_is_told(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wire.name(name)


@given(names=st.lists(NAMES, min_size=1, max_size=8), strings=st.lists(LABELS, min_size=1))
def test_what_a_server_sends_is_read_back_in_lower_case(
    names: list[dns.name.Name], strings: list[bytes]
) -> None:
    """Names are compressed, and may hold any byte; what was read can be written again."""
    message = dns.message.Message(id=9)
    text = dns.rdata.from_text("IN", "TXT", " ".join(f'"{_octal(each)}"' for each in strings))
    for name in names:
        message.answer.append(dns.rrset.from_rdata(name, 5, text))
        message.answer.append(dns.rrset.from_text(name, 5, "IN", "SRV", f"1 2 3 {name}"))
        message.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", f"{name}"))
    found = wire.decode(message.to_wire()).records
    lowered = [_lower(name).to_wire() for name in names for _ in range(3)]
    assert lowered == [wire.name(record.owner) for record in found]
    assert [text.to_wire()] * len(names) == [wire.data("TXT", r.data) for r in found[::3]]
    assert [_lower(name).to_wire() for name in names] == [
        wire.data("CNAME", record.data) for record in found[2::3]
    ]


def _octal(raw: bytes) -> str:
    return "".join(f"\\{byte:03d}" for byte in raw)


def _lower(name: dns.name.Name) -> dns.name.Name:
    """Return *name* with ASCII letters in lower case, and others where Python has any."""
    return dns.name.Name([bytes(ord(chr(b).lower()) if b < 128 else b for b in label)
                          for label in name.labels])  # fmt: skip


@given(state=states())
def test_every_record_of_a_state_is_added_and_deleted_as_dnspython_does(state: NodeState) -> None:
    records = [record for part in state.parts for record in render(state.base, part)]
    for ttl in (5, None):
        by_zone: dict[str, list[Record]] = {}
        for record in records:
            by_zone.setdefault(record.zone, []).append(record)
        for zone, found in by_zone.items():
            changes = [ZoneChange(*record[1:], ttl) for record in found]
            ((message, soa),) = wire.updates(zone, SOA, map(wire.encoded, changes))
            read = dns.message.from_wire(message)
            assert isinstance(read, dns.update.UpdateMessage)
            expected = dns.update.UpdateMessage(zone, id=0)
            expected.present(zone + ".", "SOA", " ".join(map(str, SOA)))
            for record in found:
                if ttl is None:
                    expected.delete(record.owner, record.type, record.rdata)
                else:
                    expected.add(record.owner, ttl, record.type, record.rdata)
            expected.add(zone + ".", 5, "SOA", " ".join(map(str, soa)))
            assert _as_set(dns.message.from_wire(expected.to_wire())) == _as_set(read)


def _as_set(update: dns.message.Message) -> set[str]:
    return {
        f"{number} {rrset.rdclass} {rrset.deleting} {line}"
        for number, section in enumerate(update.sections[:3])
        for rrset in section
        for line in rrset.to_text().splitlines()
    }


def test_a_type_that_is_not_ours_is_deleted_as_a_whole() -> None:
    ((message, _),) = wire.updates(
        "a", SOA, [wire.encoded(ZoneChange("www.a.", "TYPE15", "", None))]
    )
    (deleted, _soa) = dns.message.from_wire(message).sections[2]
    assert (dns.rdatatype.MX, 0) == (deleted.rdtype, len(deleted))


def test_many_changes_are_several_messages_each_for_the_serial_that_the_one_before_left() -> None:
    changes = [ZoneChange(f"a-{number}.b.", "A", "192.0.2.1", 5) for number in range(9000)]
    found = list(wire.updates("b", SOA, map(wire.encoded, changes)))
    assert [8, 9, 10, 11] == [soa.serial for _, soa in found]
    assert all(len(message) < 0xFFFF - 1000 for message, _ in found)
    read = [dns.message.from_wire(message) for message, _ in found]
    assert [7, *(soa.serial for _, soa in found)][:-1] == [
        message.sections[1][0][0].serial for message in read
    ]
    assert len(changes) == sum(len(message.sections[2]) - 1 for message in read)


@pytest.mark.parametrize(
    ("serial", "last", "following"),
    [(1, None, 2), (1, 1000, 1001), (2**32 - 1, None, 1), (5, 2**32 - 1, 1)],
)
def test_the_serial_after_another_is_never_0(serial: int, last: int | None, following: int) -> None:
    assert following == SOA._replace(serial=serial).following(last).serial


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(2, 1, True), (1, 2, False), (1, 1, False), (1, 2**32 - 1, True), (2**31 + 1, 1, False)],
)
def test_serials_are_compared_as_rfc_1982_says(one: int, other: int, expected: bool) -> None:
    assert expected == wire.later(one, other)


@given(junk=st.binary(max_size=80))
def test_of_what_is_no_message_nothing_else_comes_than_an_error_that_says_so(junk: bytes) -> None:
    for raw in (junk, b"\0\1\x84\0\0\0\0\2\0\0\0\0" + junk):
        with suppress(StateError):
            wire.decode(raw)


def test_a_name_that_leads_in_a_circle_is_told() -> None:
    circle = b"\0\1\x84\0\0\0\0\1\0\0\0\0" + b"\xc0\x0c" + b"\0\1\0\1\0\0\0\5\0\4\1\2\3\4"
    with pytest.raises(StateError, match="leads nowhere"):
        wire.decode(circle)


def test_a_name_may_lead_into_the_data_of_a_type_that_is_not_read() -> None:
    """BIND writes names of a signature or an NSEC as they are, and leads other names there."""
    nsec = b"\1a\0" + b"\0\57\0\1\0\0\0\5\0\5" + b"\1b\1c\0"
    led = b"\1d\xc0\x19" + b"\0\1\0\1\0\0\0\5\0\4\1\2\3\4"
    message = wire.decode(b"\0\1\x84\0\0\0\0\2\0\0\0\0" + nsec + led)
    assert [("a.", "TYPE47"), ("d.b.c.", "A")] == [(r.owner, r.type) for r in message.records]


@given(state=states())
def test_a_record_read_is_the_record_written(state: NodeState) -> None:
    for part in state.parts:
        for record in render(state.base, part):
            message = dns.message.Message(id=1)
            message.answer.append(
                dns.rrset.from_text(record.owner, 5, "IN", record.type, record.rdata)
            )
            (read,) = wire.decode(message.to_wire()).records
            assert (record.owner, record.type, 5, record.rdata) == tuple(read)


@pytest.mark.parametrize(
    ("type_", "data"), [(1, b"\1\2\3"), (28, b"\1\2\3\4"), (1, b""), (28, bytes(17))]
)
def test_an_address_of_another_length_is_told(type_: int, data: bytes) -> None:
    header = b"\0\1\x84\0\0\0\0\1\0\0\0\0"
    record = b"\1a\0\0" + bytes([type_]) + b"\0\1\0\0\0\5\0" + bytes([len(data)]) + data
    with pytest.raises(StateError, match="sent an address that is none"):
        wire.decode(header + record)
