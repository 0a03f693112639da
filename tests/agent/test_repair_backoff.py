"""How often what others change again and again is repaired."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.agent.repair_backoff import AT_ONCE, RepairBackoff

WINDOW, FIRST, LONGEST = 60.0, 5.0, 10.0
pauses = st.lists(st.integers(0, 600).map(float), max_size=60)  # whole: sums are exact


def insisting(count: int) -> list[float]:
    """Repair *count* times, each as soon as it may be; return how long each waited."""
    backoff, now, waited = RepairBackoff(), 1000.0, []
    for _ in range(count):
        start, now = now, max(now, backoff.until)
        waited.append(now - start)
        backoff.repaired(now)
    return waited


def test_the_first_repairs_are_made_at_once_then_pauses_are_five_and_ten_seconds() -> None:
    assert [0] * AT_ONCE + [5, 10, 10, 10] == insisting(AT_ONCE + 4)


@given(pauses)
def test_no_more_than_the_first_in_any_minute_are_made_without_a_pause(
    between: list[float],
) -> None:
    backoff, made = RepairBackoff(), [0.0]
    for each in between:
        now = max(made[-1] + each, backoff.until)
        if len([earlier for earlier in made[1:] if now - earlier < WINDOW]) >= AT_ONCE:
            assert now - made[-1] >= FIRST
        backoff.repaired(now)
        made.append(now)


@given(pauses)
def test_no_repair_waits_longer_than_ten_seconds(between: list[float]) -> None:
    backoff, now = RepairBackoff(), 1000.0
    for each in between:
        now += each
        backoff.repaired(now)
        assert backoff.until - now <= LONGEST


def test_repairs_that_are_far_apart_never_wait() -> None:
    backoff = RepairBackoff()
    for count in range(20):
        backoff.repaired(1000.0 + count * WINDOW / 2)
        assert not backoff.waits(1000.0 + count * WINDOW / 2)


def test_after_a_quiet_time_it_begins_anew() -> None:
    backoff = RepairBackoff()
    for _ in range(AT_ONCE + 2):
        backoff.repaired(max(1000.0, backoff.until))
    quiet = backoff.until + WINDOW + 1
    backoff.repaired(quiet)
    assert not backoff.waits(quiet)


def test_what_is_pending_is_no_more_once_it_is_repaired() -> None:
    backoff = RepairBackoff()
    backoff.pending = True
    backoff.repaired(1000.0)
    assert not backoff.pending
