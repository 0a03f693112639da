"""Evaluation of checks: the thresholds of a container's probe, and damping. Pure.

A workload that was never checked is not ready until enough checks in a row passed, as in
Kubernetes (prober/worker.go). Damping is ours: one that failed more than three times within ten
minutes comes back later each time, by 2, 4, 8, … periods and at most five minutes, for which it
has to go on passing. It never delays a failure.
"""

from typing import Final, NamedTuple

from groundplane.site.compiled import Probe

WINDOW_S: Final = 600.0
FREE_FALLS: Final = 3  # within the window
LONGEST_HOLD_S: Final = 300.0
_REMEMBERED: Final = 20  # falls; many more than the longest hold needs


class State(NamedTuple):
    """What is known of one workload.

    *run* counts the last checks that ended alike: above 0 they passed, below 0 they failed; it is
    not counted on where it changes nothing. *earned* is when this run of passed ones reached the
    threshold, and *falls* are the times at which the workload ceased to pass.
    """

    passing: bool = False
    run: int = 0
    earned: float | None = None
    falls: tuple[float, ...] = ()


def after(state: State, probe: Probe, now: float, *, passed: bool) -> State:
    """Return the state after *state* and a check that ended at *now*."""
    if not passed:
        return _after_failure(state, probe, now)
    if state.passing:
        return state if state.run > 0 else state._replace(run=1)
    run = max(state.run, 0) + 1
    if run < probe.success_threshold:
        return state._replace(run=run)
    earned = now if state.earned is None else state.earned
    falls = tuple(fall for fall in state.falls if fall > now - WINDOW_S)
    if now < earned + hold(len(falls), probe.period):
        return State(passing=False, run=run, earned=earned, falls=falls)
    return State(passing=True, run=run, falls=falls)


def _after_failure(state: State, probe: Probe, now: float) -> State:
    run = min(state.run, 0) - 1
    if state.passing and -run >= probe.failure_threshold:
        return State(passing=False, run=run, falls=(*state.falls[1 - _REMEMBERED :], now))
    return state._replace(run=run, earned=None)


def hold(falls: int, period: int) -> float:
    """Return how many seconds a workload that fell *falls* times must pass before it is ready."""
    if falls <= FREE_FALLS:
        return 0.0
    return min(period * 2.0 ** (falls - FREE_FALLS), LONGEST_HOLD_S)
