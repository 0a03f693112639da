"""Entries as ctnetlink writes them, byte for byte; no kernel is asked."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.conntrack import Flow
from groundplane.dataplanes.conntrack.entries import LAYOUTS, Layout, reader
from groundplane.kernel.netlink import attribute, attributes, nest, netfilter
from groundplane.net.protocols import NUMBERS, Protocol
from tests.dataplanes.conntrack.entries import ends, entry


def layout(flow: Flow) -> Layout:
    names: dict[int, Protocol] = {number: name for name, number in NUMBERS.items()}
    return LAYOUTS[flow.family, names[flow.protocol]]


def read(flow: Flow, body: bytes) -> Flow | None:
    return layout(flow).flow(body)


def flows_of(width: int) -> st.SearchStrategy[Flow]:
    address, port = st.binary(min_size=width, max_size=width), st.integers(1, 65535)
    number, zone = st.integers(0, 2**32 - 1), st.sampled_from([0, 0, 7])
    protocol = st.sampled_from([*NUMBERS.values()])
    return st.builds(Flow, address, port, address, port, address, port, number, zone, protocol)


def flows() -> st.SearchStrategy[Flow]:
    return flows_of(4) | flows_of(16)


@given(flow=flows(), labels=st.sampled_from([b"", attribute(22, bytes(16))]))
def test_an_entry_is_read_whatever_follows_its_tuples(flow: Flow, labels: bytes) -> None:
    assert flow == read(flow, entry(flow, labels))


@given(flow=flows())
def test_a_tuple_of_another_form_is_read_attribute_by_attribute(flow: Flow) -> None:
    zone = attribute(3, flow.zone.to_bytes(2, "big"))
    assert flow == read(flow, entry(flow, extra=zone))


@given(flow=flows())
def test_other_protocols_are_passed_over(flow: Flow) -> None:
    """A kernel that knows no filter lists them too, and those of ICMP have no ports."""
    assert read(flow, entry(flow, protocol=47)) is None
    assert read(flow, netfilter(2) + nest(1, nest(2, attribute(1, b"\x01")))) is None
    assert read(flow, netfilter(2)) is None


@given(flow=flows(), extra=st.sampled_from([b"", attribute(3, bytes(2))]))
def test_an_entry_of_any_family_and_protocol_is_found_out(flow: Flow, extra: bytes) -> None:
    names = {number: name for name, number in NUMBERS.items()}
    others = {*NUMBERS} - {names[flow.protocol]}
    body = entry(flow, extra=extra)
    zone = 0 if extra else flow.zone
    assert msgspec.structs.replace(flow, zone=zone) == reader([*NUMBERS])(body)
    assert reader(others)(body) is None
    assert reader([*NUMBERS])(entry(flow, protocol=47)) is None


def test_a_kernel_that_writes_the_tuple_in_another_order_is_understood() -> None:
    flow = Flow(bytes(4), 1, bytes(4), 2, bytes(4), 3, 4)
    (kind, original), *rest = attributes(entry(flow), 4)
    (ip, addresses), (protocol, ports) = attributes(original)
    turned = nest(kind, nest(protocol, ports), nest(ip, addresses))
    body = netfilter(2) + turned + b"".join(attribute(*each) for each in rest)
    assert flow == reader(["UDP"])(body)
    assert reader(["TCP"])(body) is None


@pytest.mark.parametrize("extra", [b"", attribute(3, bytes(2))])
@pytest.mark.parametrize(("protocol", "listed"), [(6, False), (17, True), (132, True)])
def test_of_tcp_only_what_nobody_answered_is_read(
    protocol: int, listed: bool, extra: bytes
) -> None:
    """A kernel that knows no filter by status lists the others, too."""
    flow = Flow(bytes(4), 1, bytes(4), 2, bytes(4), 3, 4, 0, protocol)
    assert (flow if listed else None) == read(flow, entry(flow, extra=extra, answered=True))
    assert flow == read(flow, entry(flow, extra=extra))


@given(flow=flows())
def test_a_deletion_names_the_tuple_the_id_and_the_zone(flow: Flow) -> None:
    named = dict(attributes(layout(flow).named(flow)))
    assert dict(attributes(ends(1, flow))) == {1: named[1]}
    assert flow.id == int.from_bytes(named[12], "big")
    assert flow.zone == int.from_bytes(named.get(18, b""), "big")


@pytest.mark.parametrize("width", [4, 16])
def test_what_the_kernel_writes_is_read_the_quick_way(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(Layout, "_plainly", lambda *_: pytest.fail("attribute by attribute"))
    flow = Flow(bytes(width), 1, bytes(width), 2, bytes(width), 3, 4, 5)
    assert flow == read(flow, entry(flow))
