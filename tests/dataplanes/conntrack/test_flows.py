"""Which conntrack entries have to go: over all flows, and one by one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.conntrack import Flow, Frontend, Range, Scope, packed, stale
from groundplane.net.address import pack

CLIENT = pack("10.244.1.9")
SERVICE, OTHER_SERVICE, EXTERNAL = pack("10.96.0.10"), pack("10.96.0.11"), pack("203.0.113.5")
NODE, PEER, ELSEWHERE = pack("192.0.2.1"), pack("192.0.2.2"), pack("198.51.100.7")
LIVE, GONE, CONTAINER = pack("10.244.1.10"), pack("10.244.2.10"), pack("172.17.0.2")
SCOPE = Scope(
    services=(
        Range(pack("10.96.0.0"), pack("10.96.0.255")),
        Range(pack("fd00:96::"), pack("fd00:96::ffff")),
    ),
    workloads=(Range(pack("10.244.0.0"), pack("10.244.255.255")),),
    here=frozenset({NODE}),
    nodes=frozenset({NODE, PEER}),
    node_ports=(30000, 32767),
)


def flow(
    destination: bytes, port: int, reply_source: bytes, reply_port: int, protocol: int = 17
) -> Flow:
    return Flow(CLIENT, 40000, destination, port, reply_source, reply_port, 1, 0, protocol)


Expected = dict[Frontend, tuple[bytes, ...]]
LIVING = (packed(LIVE, 5353),)
EXPECTED: Expected = {
    (SERVICE, 53, 17): LIVING,
    (EXTERNAL, 53, 17): LIVING,
    (NODE, 30053, 17): LIVING,
    (OTHER_SERVICE, 53, 17): (),
    (SERVICE, 80, 6): LIVING,
}
REMOVED = frozenset({(EXTERNAL, 99, 17), (NODE, 30055, 17)})


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
        flow(EXTERNAL, 99, CONTAINER, 53),  # of a service that was removed
        flow(NODE, 30055, CONTAINER, 53),
        flow(SERVICE, 80, GONE, 5353, 6),  # a connection of TCP that nobody answers
        flow(NODE, 30054, LIVE, 5353),  # a deleted node port, to a workload or a node
        flow(NODE, 30054, PEER, 5353),
        Flow(pack("fd00::9"), 1, pack("fd00:96::9"), 53, pack("fd00:244::9"), 53, 1),
    ],
)
def test_stale(found: Flow) -> None:
    assert [found] == stale([found], EXPECTED, SCOPE, REMOVED)


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
        flow(
            EXTERNAL, 98, CONTAINER, 53
        ),  # others translate an external address that no service has
        flow(EXTERNAL, 98, LIVE, 5353),
        flow(EXTERNAL, 99, EXTERNAL, 99),
        flow(SERVICE, 53, SERVICE, 53, 6),  # another protocol's port
    ],
)
def test_left_alone(found: Flow) -> None:
    assert [] == stale([found], EXPECTED, SCOPE, REMOVED)


def test_an_endpoint_may_have_the_address_that_is_asked() -> None:
    """A workload on the host's network answers at the node's address, on the node port itself."""
    expected: Expected = {(NODE, 30053, 17): (packed(NODE, 30053),)}
    assert [] == stale([flow(NODE, 30053, NODE, 30053)], expected, SCOPE)


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
_TARGETS = st.lists(st.builds(packed, _ADDRESSES, _PORTS), max_size=3).map(tuple)
_FRONTENDS = st.tuples(_ADDRESSES, _PORTS, st.just(17))
_EXPECTED = st.dictionaries(_FRONTENDS, _TARGETS, max_size=6)


@given(flows=_FLOWS, expected=_EXPECTED)
def test_deleting_what_is_stale_leaves_nothing_stale(flows: list[Flow], expected: Expected) -> None:
    gone = stale(flows, expected, SCOPE)
    assert [] == stale([each for each in flows if each not in gone], expected, SCOPE)


@given(flows=_FLOWS, expected=_EXPECTED)
def test_each_flow_is_judged_by_itself_and_the_order_is_kept(
    flows: list[Flow], expected: Expected
) -> None:
    one_by_one = [found for each in flows for found in stale([each], expected, SCOPE)]
    assert one_by_one == stale(flows, expected, SCOPE)


@given(flows=_FLOWS, expected=_EXPECTED)
def test_a_flow_to_a_serving_endpoint_is_never_stale(flows: list[Flow], expected: Expected) -> None:
    gone = stale(flows, expected, SCOPE)
    assert [] == [flow for flow in gone if flow.target in expected.get(flow.frontend, ())]


@given(flows=_FLOWS, expected=_EXPECTED)
def test_only_what_goes_to_our_frontends_is_ever_stale(
    flows: list[Flow], expected: Expected
) -> None:
    for found in stale(flows, expected, SCOPE):
        ours = any(
            len(found.destination) == len(first) and first <= found.destination <= last
            for first, last in SCOPE.services
        )
        node_port = found.destination == NODE and 30000 <= found.port <= 32767
        assert found.frontend in expected or ours or node_port


@given(flows=_FLOWS, expected=_EXPECTED, gone=_TARGETS)
def test_an_endpoint_that_comes_back_makes_fewer_stale(
    flows: list[Flow], expected: Expected, gone: tuple[bytes, ...]
) -> None:
    more = {frontend: targets + gone for frontend, targets in expected.items()}
    before, after = stale(flows, expected, SCOPE), stale(flows, more, SCOPE)
    assert [] == [each for each in after if each not in before]


def test_what_others_track_in_a_zone_of_their_own_is_not_translated_there() -> None:
    passing = msgspec.structs.replace(flow(SERVICE, 53, SERVICE, 53), zone=7)
    assert [] == stale([passing], EXPECTED, SCOPE)
    assert 1 == len(stale([msgspec.structs.replace(passing, zone=0)], EXPECTED, SCOPE))
