"""Which conntrack entries have to go: over all flows, and one by one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.conntrack import Expectation, Flow, Place, Range, Scope, stale
from groundplane.model.address import pack

CLIENT = pack("10.244.1.9")
SERVICE, OTHER_SERVICE, EXTERNAL = pack("10.96.0.10"), pack("10.96.0.11"), pack("203.0.113.5")
NODE, PEER, ELSEWHERE = pack("192.0.2.1"), pack("192.0.2.2"), pack("198.51.100.7")
LIVE, GONE, CONTAINER = pack("10.244.1.10"), pack("10.244.2.10"), pack("172.17.0.2")
SCOPE = Scope(
    services=(
        Range(pack("10.96.0.0"), pack("10.96.0.255")),
        Range(pack("203.0.113.0"), pack("203.0.113.255")),
        Range(pack("fd00:96::"), pack("fd00:96::ffff")),
    ),
    workloads=(Range(pack("10.244.0.0"), pack("10.244.255.255")),),
    here=frozenset({NODE}),
    nodes=frozenset({NODE, PEER}),
    node_ports=(30000, 32767),
)


def flow(destination: bytes, port: int, reply_source: bytes, reply_port: int) -> Flow:
    return Flow(CLIENT, 40000, destination, port, reply_source, reply_port, 1)


def expect(address: bytes, port: int, *endpoints: Place) -> Expectation:
    return Expectation(address, port, frozenset(endpoints))


EXPECTED = (
    expect(SERVICE, 53, (LIVE, 5353)),
    expect(EXTERNAL, 53, (LIVE, 5353)),
    expect(NODE, 30053, (LIVE, 5353)),
    expect(OTHER_SERVICE, 53),
)


@pytest.mark.parametrize(
    "found",
    [
        flow(SERVICE, 53, GONE, 5353),
        flow(SERVICE, 53, LIVE, 5354),  # the right address, a port that is not served any more
        flow(EXTERNAL, 53, GONE, 5353),
        flow(NODE, 30053, GONE, 5353),
        flow(SERVICE, 53, SERVICE, 53),  # older than the service: not translated
        flow(NODE, 30053, NODE, 30053),
        flow(OTHER_SERVICE, 53, LIVE, 5353),  # a service without any endpoint
        flow(OTHER_SERVICE, 54, LIVE, 5353),  # a port that the service has no more
        flow(EXTERNAL, 99, CONTAINER, 53),
        flow(NODE, 30054, LIVE, 5353),  # a deleted node port, to a workload or a node
        flow(NODE, 30054, PEER, 5353),
        Flow(pack("fd00::9"), 1, pack("fd00:96::9"), 53, pack("fd00:244::9"), 53, 1),
    ],
)
def test_stale(found: Flow) -> None:
    assert [found] == stale([found], EXPECTED, SCOPE)


@pytest.mark.parametrize(
    "found",
    [
        flow(SERVICE, 53, LIVE, 5353),
        flow(EXTERNAL, 53, LIVE, 5353),
        flow(NODE, 30053, LIVE, 5353),
        flow(OTHER_SERVICE, 54, OTHER_SERVICE, 54),  # not translated, nobody's: on its way out
        flow(ELSEWHERE, 53, ELSEWHERE, 53),
        flow(ELSEWHERE, 53, LIVE, 5353),  # somebody else's translation
        flow(NODE, 30054, NODE, 30054),  # a program of the node's own
        flow(NODE, 30054, CONTAINER, 53),  # a port that another program publishes
        flow(NODE, 29999, LIVE, 53),
        flow(PEER, 30054, LIVE, 53),  # another node's node port: not this node's to translate
    ],
)
def test_left_alone(found: Flow) -> None:
    assert [] == stale([found], EXPECTED, SCOPE)


def test_an_endpoint_may_have_the_address_that_is_asked() -> None:
    """A workload on the host's network answers at the node's address, on the node port itself."""
    expectation = expect(NODE, 30053, (NODE, 30053))
    assert [] == stale([flow(NODE, 30053, NODE, 30053)], [expectation], SCOPE)


def test_two_expectations_of_one_place_are_united() -> None:
    both = [expect(SERVICE, 53, (LIVE, 5353)), expect(SERVICE, 53, (GONE, 5353))]
    assert [] == stale([flow(SERVICE, 53, GONE, 5353)], both, SCOPE)


# ------------------------------------------------------------------------------------------------

_ADDRESSES = st.sampled_from(
    [SERVICE, OTHER_SERVICE, EXTERNAL, NODE, PEER, ELSEWHERE, LIVE, GONE, CONTAINER]
    + [pack(text) for text in ("fd00:96::1", "fd00:244::1", "2001:db8::1")]
)
_PORTS = st.sampled_from([53, 5353, 30053, 30054])
_FLOWS = st.lists(
    st.builds(Flow, _ADDRESSES, _PORTS, _ADDRESSES, _PORTS, _ADDRESSES, _PORTS, st.integers(1, 99)),
    max_size=20,
)
_ENDPOINTS = st.frozensets(st.tuples(_ADDRESSES, _PORTS), max_size=3)
_EXPECTATIONS = st.lists(st.builds(Expectation, _ADDRESSES, _PORTS, _ENDPOINTS), max_size=6)


@given(flows=_FLOWS, expectations=_EXPECTATIONS)
def test_deleting_what_is_stale_leaves_nothing_stale(
    flows: list[Flow], expectations: list[Expectation]
) -> None:
    gone = stale(flows, expectations, SCOPE)
    assert [] == stale([each for each in flows if each not in gone], expectations, SCOPE)


@given(flows=_FLOWS, expectations=_EXPECTATIONS)
def test_each_flow_is_judged_by_itself_and_the_order_is_kept(
    flows: list[Flow], expectations: list[Expectation]
) -> None:
    one_by_one = [found for each in flows for found in stale([each], expectations, SCOPE)]
    assert one_by_one == stale(flows, expectations, SCOPE)


@given(flows=_FLOWS, expectations=_EXPECTATIONS)
def test_a_flow_to_a_serving_endpoint_is_never_stale(
    flows: list[Flow], expectations: list[Expectation]
) -> None:
    serving = {(each.address, each.port, *end) for each in expectations for end in each.endpoints}
    gone = stale(flows, expectations, SCOPE)
    assert [] == [
        flow
        for flow in gone
        if (flow.destination, flow.port, flow.reply_source, flow.reply_port) in serving
    ]


@given(flows=_FLOWS, expectations=_EXPECTATIONS)
def test_only_what_goes_to_our_places_is_ever_stale(
    flows: list[Flow], expectations: list[Expectation]
) -> None:
    expected = {(each.address, each.port) for each in expectations}
    for found in stale(flows, expectations, SCOPE):
        ours = any(
            len(found.destination) == len(first) and first <= found.destination <= last
            for first, last in SCOPE.services
        )
        node_port = found.destination == NODE and 30000 <= found.port <= 32767
        assert (found.destination, found.port) in expected or ours or node_port


@given(flows=_FLOWS, expectations=_EXPECTATIONS, gone=_ENDPOINTS)
def test_an_endpoint_that_comes_back_makes_fewer_stale(
    flows: list[Flow], expectations: list[Expectation], gone: frozenset[Place]
) -> None:
    more = [msgspec.structs.replace(each, endpoints=each.endpoints | gone) for each in expectations]
    before, after = stale(flows, expectations, SCOPE), stale(flows, more, SCOPE)
    assert [] == [each for each in after if each not in before]


def test_a_node_whose_address_lies_in_a_range_of_external_ones_keeps_what_others_publish() -> None:
    wide = Range(pack("192.0.2.0"), pack("192.0.2.255"))
    scope = msgspec.structs.replace(SCOPE, services=(*SCOPE.services, wide))
    assert [] == stale([flow(NODE, 5353, CONTAINER, 53)], EXPECTED, scope)


def test_what_others_track_in_a_zone_of_their_own_is_not_translated_there() -> None:
    passing = msgspec.structs.replace(flow(SERVICE, 53, SERVICE, 53), zone=7)
    assert [] == stale([passing], EXPECTED, SCOPE)
    assert 1 == len(stale([msgspec.structs.replace(passing, zone=0)], EXPECTED, SCOPE))
