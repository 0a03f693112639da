"""Endpoints as columns and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.site.compiled import Endpoint, Endpoints, columns

_NAMES = st.sampled_from(["", "", "a", "b"])
_PLACES = st.lists(st.sampled_from(["east", "west"]), max_size=2, unique=True).map(tuple)


@st.composite
def rows(draw: st.DrawFn) -> list[Endpoint]:
    """Draw rows with one target for each of a few ports; the defaults are drawn often."""
    ports = draw(st.integers(0, 2))
    one = st.builds(
        Endpoint,
        workload=_NAMES,
        node=_NAMES,
        hostname=_NAMES,
        ipv4=st.sampled_from(["", "10.0.0.1", "10.244.1.10", "1.0.0.0"]),
        ipv6=st.sampled_from(["", "fd00::", "::1", "2001:db8::10"]),
        targets=st.tuples(*[st.sampled_from([0, 80, 8080])] * ports),
        ready=st.booleans(),
        serving=st.booleans(),
        terminating=st.booleans(),
        weight=st.sampled_from([1, 1, 0, 256]),
        for_zones=_PLACES,
        for_nodes=_PLACES,
    )
    return draw(st.lists(one, max_size=6))


@given(rows())
def test_rows_come_back_as_they_were(wanted: list[Endpoint]) -> None:
    found = columns(wanted)
    assert wanted == found.rows()
    assert len(wanted) == len(found)


PLAIN = Endpoint("", "", "", "10.244.1.10", "", (8080,))


def test_a_column_that_says_nothing_is_left_out() -> None:
    """All are ready, of weight 1, with one port, and nothing else is known of them."""
    second = PLAIN._replace(ipv4="10.244.1.11")
    expected = Endpoints(count=2, ipv4="0af4010a0af4010b", targets=(8080,))
    assert expected == columns([PLAIN, second])


@pytest.mark.parametrize(
    ("change", "column", "expected"),
    [
        ({"workload": "a"}, "workloads", ("", "a")),
        ({"node": "n1"}, "nodes", ("", "n1")),
        ({"hostname": "h"}, "hostnames", ("", "h")),
        ({"ipv4": ""}, "ipv4", "0af4010a00000000"),
        ({"ipv6": "fd00::1"}, "ipv6", "0" * 32 + "fd00" + "0" * 27 + "1"),
        ({"targets": (0,)}, "targets", ((8080, 0),)),
        ({"weight": 0}, "weights", (1, 0)),
        ({"for_zones": ("east",)}, "for_zones", ((), ("east",))),
        ({"for_nodes": ("n1",)}, "for_nodes", ((), ("n1",))),
        ({"ready": False}, "conditions", "ac"),
    ],
)
def test_a_column_is_there_where_one_row_differs(
    change: dict[str, object], column: str, expected: object
) -> None:
    found = columns([PLAIN, PLAIN._replace(**change)])  # type: ignore[arg-type]
    assert expected == getattr(found, column)


def test_no_rows_are_nothing() -> None:
    assert Endpoints() == columns([])
    assert [] == Endpoints().rows()


@pytest.mark.parametrize(
    ("conditions", "letter"),
    [
        ((True, True, False), "a"),
        ((True, False, False), "b"),
        ((False, True, True), "g"),
        ((True, True, True), "e"),
    ],
)
def test_conditions_are_a_letter_each(conditions: tuple[bool, ...], letter: str) -> None:
    ready, serving, terminating = conditions
    row = PLAIN._replace(ready=ready, serving=serving, terminating=terminating)
    assert "a" + letter == (columns([PLAIN, row]).conditions or "aa")
