"""When checks are due."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from groundplane.probes.schedule import first, following, phase
from tests.probes.servers import probe

phases = st.floats(0, 1, exclude_max=True)
periods = st.integers(1, 600)


def test_a_phase_is_the_same_each_time_and_another_on_each_node() -> None:
    keys = [("default", f"web-{number}") for number in range(1000)]
    assert [phase("n1", key) for key in keys] == [phase("n1", key) for key in keys]
    assert len({phase(node, key) for node in ("n1", "n2") for key in keys}) == 2000
    tenths = [int(phase("n1", key) * 10) for key in keys]
    assert all(50 < tenths.count(tenth) < 150 for tenth in range(10))


@given(phases, periods, st.integers(0, 5))
def test_the_first_check_is_due_within_a_second(at: float, period: int, delay: int) -> None:
    due = first(replace(probe(1), period=period, initial_delay=delay), at, 50.0)
    assert 50.0 + delay <= due <= 51.0 + delay


@given(phases, periods, st.floats(0, 5000))
def test_the_next_one_is_due_within_a_period(at: float, period: int, began: float) -> None:
    due = following(replace(probe(1), period=period), at, 0.0, began)
    assert began < due <= began + period + 1e-2


@given(phases, periods, st.integers(0, 20))
def test_checks_in_time_are_a_period_apart(at: float, period: int, times: int) -> None:
    asked = replace(probe(1), period=period)
    due = following(asked, at, 0.0, first(asked, at, 0.0))
    for _ in range(times):
        after = following(asked, at, 0.0, due)
        assert abs(after - due - period) < 1e-3
        due = after
