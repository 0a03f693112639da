"""Changes as batches of messages, byte for byte, and what a refusal is about; no kernel is asked."""

import struct
from typing import NamedTuple

import pytest

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.batch import ExpiringElement, encode, encode_expiring, name_of
from groundplane.dataplanes.nftables.maps import Element, host32
from groundplane.kernel.tables import BatchMessage, transaction
from groundplane.net.address import pack
from tests.rulesets import AFFINITY, MAPS

SLOTS, NODES = MAPS["IPv4"].slots, MAPS["IPv6"].nodes
BEGIN, END, NEW, DELETE = 0x10, 0x11, 0xA0C, 0xA0E
REQUEST, ACK, CREATE = 1, 4, 0x400


class Message(NamedTuple):
    kind: int
    flags: int
    family: int
    resource: int
    body: bytes


def messages(sent: list[BatchMessage]) -> list[Message]:
    batch = transaction(sent)
    found, start = [], 0
    while start < len(batch):
        length, kind, flags, _, _ = struct.unpack_from("=IHHII", batch, start)
        family, _, resource = struct.unpack_from(">BBH", batch, start + 16)
        body = batch[start + 20 : start + length]
        found.append(Message(kind, flags, family, resource, body))
        start += (length + 3) & ~3
    return found


def slot(number: int) -> Element:
    return SLOTS.prefix + host32(0x2000) + host32(number)


def endpoint(number: int) -> bytes:
    return pack(f"10.244.1.{number}") + b"\x1f\x90\0\0"


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def entry(key: bytes, data: bytes = b"") -> bytes:
    nested = 0x8000
    parts = attribute(nested | 1, attribute(1, key))
    if data:
        parts += attribute(nested | 2, attribute(1, data))
    return attribute(nested | 1, parts)


def listed(*entries: bytes, map_: str = "slots", table: bytes = b"groundplane-services\0") -> bytes:
    head = attribute(1, table) + attribute(2, map_.encode() + b"\0")
    return head + attribute(0x8003, b"".join(entries))


def test_a_batch_is_one_transaction_whose_last_message_asks_for_the_answer() -> None:
    batch = messages(encode(Delta(create={slot(0): endpoint(1)})))
    assert [
        (BEGIN, REQUEST, 0, 10),
        (NEW, REQUEST | CREATE | ACK, 2, 0),
        (END, REQUEST, 0, 10),
    ] == [message[:4] for message in batch]


def test_an_element_is_its_key_and_its_data() -> None:
    batch = messages(encode(Delta(create={slot(0): endpoint(1)})))
    assert listed(entry(slot(0)[1:], endpoint(1))) == batch[1].body


def test_an_element_of_a_set_is_its_key_alone() -> None:
    batch = messages(encode(Delta(create={NODES.prefix + pack("fd00::1"): b""})))
    assert (10, listed(entry(pack("fd00::1")), map_="nodes", table=b"groundplane\0")) == (
        batch[1].family,
        batch[1].body,
    )


def test_an_update_is_deleted_and_created_in_one_transaction_deletions_first() -> None:
    batch = messages(
        encode(
            Delta(
                create={slot(2): endpoint(3)},
                update={slot(1): (endpoint(1), endpoint(2))},
                delete={slot(0): endpoint(1)},
            )
        )
    )
    assert [
        (DELETE, listed(entry(slot(0)[1:]), entry(slot(1)[1:]))),
        (NEW, listed(entry(slot(1)[1:], endpoint(2)), entry(slot(2)[1:], endpoint(3)))),
    ] == [(message.kind, message.body) for message in batch[1:-1]]


def test_many_elements_are_split_so_that_lengths_fit_16_bits() -> None:
    count = 5000
    batch = messages(encode(Delta(create={slot(n): endpoint(1) for n in range(count)})))
    assert len(batch) > 4
    assert max(len(message.body) for message in batch) < 1 << 16
    assert [0] * (len(batch) - 3) == [message.flags & ACK for message in batch[1:-2]]
    size = len(entry(slot(0)[1:], endpoint(1)))
    head = len(listed())
    assert count == sum((len(message.body) - head) // size for message in batch[1:-1])


CHANGE = Delta(create={slot(0): endpoint(1), slot(1): endpoint(2)}, delete={slot(7): endpoint(9)})
HEAD = 20 + len(listed())  # netlink's and netfilter's headers, then the attributes before the list


@pytest.mark.parametrize(
    ("sequence", "offset", "expected"),
    [
        (2, HEAD, "to add { 0x2000 . 0x0 : 10.244.1.1 . 8080 } in ip groundplane-services slots"),
        (2, HEAD + len(entry(slot(0)[1:], endpoint(1))),
         "to add { 0x2000 . 0x1 : 10.244.1.2 . 8080 } in ip groundplane-services slots"),
        (1, HEAD, "to delete { 0x2000 . 0x7 } in ip groundplane-services slots"),
        (2, None, "to add elements of ip groundplane-services slots"),
        (2, 24, "to add elements of ip groundplane-services slots"),  # the table or the map, not an element
        (0, None, "the transaction"),
        (3, None, "the transaction"),
    ],
)  # fmt: skip
def test_a_complaint_names_the_element(sequence: int, offset: int | None, expected: str) -> None:
    assert expected == name_of(encode(CHANGE), sequence, offset)


def test_elements_that_end_are_added_again_with_what_is_left_of_their_time() -> None:
    v4, v6 = AFFINITY["IPv4"].prefix, AFFINITY["IPv6"].prefix
    batch = messages(
        encode_expiring(
            [
                ExpiringElement(
                    v4 + host32(0x2000) + pack("192.0.2.7"), host32(0x2005), 60_000, 1234
                ),
                ExpiringElement(
                    v6 + host32(0x2000) + host32(7) + host32(8), host32(0x2006), 60_000, 0
                ),
                # It was prolonged by the timeout of now, which is longer than its first one.
                ExpiringElement(
                    v4 + host32(0x4000) + pack("192.0.2.8"), host32(0x4001), 5000, 60_000
                ),
            ]
        )
    )
    first = lasting(host32(0x2000) + pack("192.0.2.7"), host32(0x2005), 60_000, 1234)
    second = lasting(host32(0x4000) + pack("192.0.2.8"), host32(0x4001), 60_000, 60_000)
    other = lasting(host32(0x2000) + host32(7) + host32(8), host32(0x2006), 60_000, 1)
    assert [
        (NEW, 2, listed(first, second, map_="affinity")),
        (NEW, 10, listed(other, map_="affinity")),
    ] == [(each.kind, each.family, each.body) for each in batch[1:-1]]


def lasting(key: bytes, data: bytes, timeout: int, expires: int) -> bytes:
    """Return the list entry of an element that ends; times are in milliseconds."""
    nested = 0x8000
    parts = attribute(nested | 1, attribute(1, key)) + attribute(nested | 2, attribute(1, data))
    times = ((4, timeout), (5, expires))
    ends = b"".join(attribute(kind, value.to_bytes(8, "big")) for kind, value in times)
    return attribute(nested | 1, parts + ends)
