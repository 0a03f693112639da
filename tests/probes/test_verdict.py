"""Thresholds and damping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from groundplane.probes.verdict import LONGEST_HOLD_S, WINDOW_S, State, after, hold
from tests.probes.servers import probe

PROBE = probe(80)
checks = st.lists(st.booleans(), max_size=80)


def states(
    results: list[bool], success: int, failure: int, period: int, start: State
) -> list[State]:
    """Return the state after each of *results*, a period apart."""
    asked = replace(PROBE, success_threshold=success, failure_threshold=failure, period=period)
    found, state = [], start
    for number, passed in enumerate(results):
        state = after(state, asked, 1000.0 + number * period, passed=passed)
        found.append(state)
    return found


def simply(results: list[bool], success: int, failure: int, *, passing: bool) -> list[bool]:
    """Return what thresholds alone come to, as Kubernetes has them (prober/worker.go)."""
    found, run = [], 0
    for number, passed in enumerate(results):
        run = run + 1 if number and results[number - 1] == passed else 1
        if run >= (success if passed else failure):
            passing = passed
        found.append(passing)
    return found


@given(checks, st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 10, 60]), st.booleans())
def test_damping_delays_only_the_return(
    results: list[bool], success: int, failure: int, period: int, passing: bool
) -> None:
    found = states(results, success, failure, period, State(passing=passing))
    plain = simply(results, success, failure, passing=passing)
    for state, undamped in zip(found, plain, strict=True):
        assert not state.passing or undamped
        if undamped and not state.passing:
            assert state.earned is not None


@given(checks, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_as_often_as_falls_are_free_it_is_what_kubernetes_does(
    results: list[bool], success: int, failure: int, passing: bool
) -> None:
    """A period of 601 s has every fall forgotten at the next check."""
    found = states(results, success, failure, int(WINDOW_S) + 1, State(passing=passing))
    assert simply(results, success, failure, passing=passing) == [each.passing for each in found]


@given(checks, st.integers(1, 4), st.integers(1, 4))
def test_it_turns_only_after_as_many_in_a_row(
    results: list[bool], success: int, failure: int
) -> None:
    before = False
    for number, state in enumerate(states(results, success, failure, 1, State())):
        if state.passing and not before:
            assert [True] * success == results[number + 1 - success : number + 1]
        if before and not state.passing:
            assert [False] * failure == results[number + 1 - failure : number + 1]
        before = state.passing


@pytest.mark.parametrize(
    ("falls", "period", "expected"),
    [(0, 10, 0), (3, 10, 0), (4, 10, 20), (5, 10, 40), (6, 10, 80), (8, 10, 300), (4, 1, 2),
     (20, 1, LONGEST_HOLD_S)],
)  # fmt: skip
def test_one_that_flaps_is_held_back_longer_each_time(
    falls: int, period: int, expected: float
) -> None:
    assert expected == hold(falls, period)


def test_a_flapping_workload_comes_back_later_and_later() -> None:
    """It fails once whenever it has come back: the periods from each fall to its return."""
    state, now, fell = State(passing=True), 0.0, 0.0
    away: list[float] = []
    while len(away) < 7:
        if state.passing:
            state, fell = after(state, PROBE, now, passed=False), now
        else:
            state = after(state, PROBE, now, passed=True)
            away += [now - fell] * state.passing
        now += 1
    assert [1, 1, 1, 3, 5, 9, 17] == away


def test_a_failure_while_it_is_held_back_starts_the_wait_anew() -> None:
    state = State(falls=(0.0, 1.0, 2.0, 3.0))
    for now, passed in ((4.0, True), (5.0, False), (6.0, True), (7.0, True)):
        state = after(state, PROBE, now, passed=passed)
        assert not state.passing
    assert after(state, PROBE, 8.0, passed=True).passing
