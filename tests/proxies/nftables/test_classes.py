"""Handles: the class of a service port tells how a slot is drawn."""

import pytest

from groundplane.proxies.frontends.handle import (
    CLASS_MASK,
    DROP,
    LOCAL,
    POOL_BITS,
    RESTRICTED,
    pool_of,
)
from groundplane.proxies.nftables.classes import DRAWS, EXACT, HASH, SIZES, TIMEOUT_SHIFT, class_of
from groundplane.site.map_limits import MAX_AFFINITY_TIMEOUTS, MAX_ENDPOINTS


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


def test_the_parts_of_a_handle_do_not_overlap() -> None:
    timeouts = MAX_AFFINITY_TIMEOUTS << TIMEOUT_SHIFT
    parts = (CLASS_MASK, timeouts, RESTRICTED, LOCAL)
    assert sum(parts) == (1 << POOL_BITS) - 1
    assert 0x12000 == pool_of(0x12000 | sum(parts))


def test_classes_fit_their_six_bits_beside_those_of_other_meaning() -> None:
    assert len(SIZES) < HASH < DROP == CLASS_MASK
    assert sorted(set(SIZES)) == [*SIZES]
