"""Handles: the class of a service port tells how a slot is drawn."""

import pytest

from groundplane.dataplanes.nftables.handle import (
    DRAWS,
    EXACT,
    SIZES,
    class_of,
    handle,
)
from groundplane.model.limits import MAX_ENDPOINTS


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [(0, 0), (1, 1), (2, 2), (16, 16), (17, 17), (20, 17), (21, 18), (4931, 42)],
)
def test_the_class_draws_among_at_least_as_many_slots_as_there_are_endpoints(
    endpoints: int, expected: int
) -> None:
    assert expected == class_of(endpoints)


def test_up_to_sixteen_endpoints_are_drawn_from_exactly() -> None:
    assert [*range(1, 17)] == [SIZES[class_of(n) - 1] for n in range(1, EXACT + 1)]


def test_a_draw_misses_at_most_a_fifth_of_the_time() -> None:
    """So slot 0, which takes what five draws missed, has 0.04 % too much at most."""
    misses = [1 - n / SIZES[class_of(n) - 1] for n in range(1, MAX_ENDPOINTS + 1)]
    assert max(misses) <= 0.2
    assert max(miss**DRAWS for miss in misses) < 0.0004


@pytest.mark.parametrize("endpoints", [MAX_ENDPOINTS + 1, 100_000])
def test_more_endpoints_than_slots_have_the_last_class(endpoints: int) -> None:
    """Any other number has no chain: packets to the service would pass untranslated."""
    assert len(SIZES) == class_of(endpoints)


def test_a_handle_is_the_pool_and_the_class() -> None:
    assert 0x12003 == handle(0x12, 3)
    assert 0x12000 == handle(0x12, 0)
    assert handle(2**20 - 2, MAX_ENDPOINTS) < 2**32


def test_classes_fit_their_seven_bits() -> None:
    assert len(SIZES) < 2**7
    assert sorted(set(SIZES)) == [*SIZES]
