"""Generic netlink's messages: what is written is read as the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.kernel.netlink import attribute, attributes, nest
from groundplane.proxies.ipvs import messages
from groundplane.proxies.ipvs.objects import (
    METHODS,
    Scheduling,
    ServerKey,
    destination_value,
    marked_server,
    server,
)

SERVERS = (
    server("10.96.0.1", "TCP", 443),
    server("fd00:96::1", "UDP", 53),
    server("10.96.0.1", "SCTP", 1),
    marked_server("IPv4", "TCP", 0xFFFFE),
    marked_server("IPv6", "UDP", 2),
)


@given(
    st.sampled_from(SERVERS),
    st.sampled_from(["rr", "wlc", "mh"]),
    st.sampled_from([0, 0x08, 0x18]),
    st.sampled_from([0, 1, 10800]),
)
def test_a_server_is_read_as_it_was_written(
    key: ServerKey, scheduler: str, flags: int, timeout: int
) -> None:
    value = Scheduling(scheduler, flags | bool(timeout), timeout)
    body = messages.body(messages.NEW_SERVICE, key, value)
    assert (key, value) == messages.server_in(body)


def test_flags_of_the_kernel_are_none_of_ours() -> None:
    """IP_VS_SVC_F_HASHED is set on whatever is there."""
    key = SERVERS[0]
    body = messages.body(messages.NEW_SERVICE, key, Scheduling("rr", 0x2))
    assert (key, Scheduling("rr")) == messages.server_in(body)


def test_an_answer_that_has_no_server_is_none() -> None:
    assert messages.server_in(messages.header(messages.NEW_SERVICE)) is None


@pytest.mark.parametrize(
    ("key", "address", "family"),
    [
        (SERVERS[0] + bytes((10, 244, 1, 10)) + b"\x1f\x90", "0af4010a", 2),
        (SERVERS[1] + bytes(15) + b"\1\x1f\x90", "00" * 15 + "01", 10),
        (SERVERS[4] + bytes(15) + b"\1\x1f\x90", "00" * 15 + "01", 10),
    ],
)
def test_a_destination_has_all_that_the_kernel_asks_for(
    key: ServerKey, address: str, family: int
) -> None:
    """ip_vs_genl_parse_dest: address, port, method, weight, both thresholds."""
    parts = dict(attributes(messages.body(messages.NEW_DEST, key, 7), 4))
    found = dict(attributes(parts[2]))
    assert address.ljust(32, "0") == found[1].hex()
    assert (8080).to_bytes(2, "big") == found[2][:2]
    assert [0, 7, 0, 0] == [int.from_bytes(found[kind], "little") for kind in (3, 4, 5, 6)]
    assert family == found[11][0]


@pytest.mark.parametrize("method", METHODS.values())
@pytest.mark.parametrize("weight", [0, 1, 65536])
def test_a_destination_is_read_as_it_was_written(weight: int, method: int) -> None:
    key = SERVERS[0] + bytes((10, 244, 1, 10)) + b"\x1f\x90"
    value = destination_value(weight, method)
    body = messages.body(messages.NEW_DEST, key, value)
    parts = dict(attributes(body, 4))
    # The kernel's answer has the numbers of connections too.
    counted = attribute(7, bytes(4)) + attribute(8, bytes(4))
    answer = messages.header(messages.NEW_DEST) + nest(2, parts[2] + counted)
    assert messages.Destination(key, value, 0) == messages.destination_in(answer, SERVERS[0])
    assert (key, value) == messages.weighted_in(answer, SERVERS[0])


@pytest.mark.parametrize("server", [SERVERS[1], SERVERS[4]])
def test_a_destination_is_the_same_in_whatever_order_its_attributes_are(server: ServerKey) -> None:
    key = server + bytes(15) + b"\1\x1f\x90"
    value = destination_value(7, METHODS["tunnel"])
    parts = list(attributes(dict(attributes(messages.body(messages.NEW_DEST, key, value), 4))[2]))
    parts += [(7, bytes(4)), (8, bytes(4))]
    for ordered in (parts, parts[::-1]):
        answer = messages.header(messages.NEW_DEST) + nest(
            2, *(attribute(*each) for each in ordered)
        )
        assert (key, value) == messages.weighted_in(answer, server)
    assert messages.weighted_in(messages.header(messages.NEW_DEST), server) is None


@pytest.mark.parametrize("key", SERVERS)
def test_what_packets_change_is_behind_what_a_server_is(key: ServerKey) -> None:
    def answer(packets: int, scheduler: str = "rr") -> bytes:
        body = messages.body(messages.NEW_SERVICE, key, Scheduling(scheduler))
        own = dict(attributes(body, 4))[1]
        return body[:4] + nest(1, own, nest(10, attribute(1, packets.to_bytes(4))))

    one, other = answer(1), answer(2)
    start = messages.statistics_at(one)
    assert one != other
    assert one[:start] == other[: messages.statistics_at(other)]
    assert one[:start] != answer(1, "wrr")[: messages.statistics_at(answer(1, "wrr"))]
    without = messages.body(messages.NEW_SERVICE, key, Scheduling("rr"))
    assert len(without) == messages.statistics_at(without)
