"""The rule by which one number of a range is picked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.allocate.pool import Pool, band_of, band_of_ports, longest_released, merge_released

SMALL = st.integers(1, 20)


@pytest.mark.parametrize(
    ("size", "band"),
    [(8, 0), (16, 0), (32, 16), (256, 16), (512, 32), (4096, 256), (65536, 256), (2**64, 256)],
)
def test_the_static_band_is_that_of_kubernetes(size: int, band: int) -> None:
    """KEP-3070: min(max(16, size/16), 256), and none in a range of 16 or fewer."""
    assert band_of(size) == band


@pytest.mark.parametrize(
    ("size", "band"),
    [(1, 0), (16, 0), (17, 16), (512, 16), (1024, 32), (2768, 86), (4096, 128), (65535, 128)],
)
def test_the_static_band_of_ports_is_that_of_kubernetes(size: int, band: int) -> None:
    """min(max(16, size/32), 128), and none in a range of 16 or fewer."""
    assert band_of_ports(size) == band


def test_a_number_that_is_taken_names_its_holder() -> None:
    pool = Pool("the range", 1, 9, holders={5: "Service/default/web"})
    with pytest.raises(ValueError, match=r"^is taken by Service/default/web$"):
        pool.take(5, "Service/default/db")


@pytest.mark.parametrize("number", [0, 10, -1])
def test_a_number_outside_names_the_range(number: int) -> None:
    with pytest.raises(ValueError, match=r"^is outside the range$"):
        Pool("the range", 1, 9).take(number, "Service/default/web")


def test_a_number_may_be_taken_again_by_its_holder() -> None:
    pool = Pool("the range", 1, 9, holders={5: "web"})
    pool.take(5, "web")
    assert pool.holders == {5: "web"}


def test_a_pick_takes_the_number() -> None:
    pool = Pool("the range", 1, 9)
    assert pool.holders == {} | {pool.pick("web", "seed"): "web"}


@given(seed=st.text(), taken=st.sets(st.integers(1, 20), max_size=19))
def test_a_pick_is_the_same_for_the_same_seed_and_taken_numbers(seed: str, taken: set[int]) -> None:
    def pick() -> int:
        return Pool("the range", 1, 20, holders=dict.fromkeys(taken, "x")).pick("web", seed)

    assert pick() == pick()


@given(seed=st.text(), taken=st.sets(st.integers(1, 20), max_size=19))
def test_a_pick_goes_upwards_from_its_first_candidate(seed: str, taken: set[int]) -> None:
    first = Pool("the range", 1, 20).pick("web", seed)
    upwards = [(first - 1 + step) % 20 + 1 for step in range(20)]
    pool = Pool("the range", 1, 20, holders=dict.fromkeys(taken, "x"))
    assert pool.pick("web", seed) == next(n for n in upwards if n not in taken)


@given(seeds=st.lists(st.text(), min_size=20, max_size=20), band=st.integers(0, 20))
def test_the_band_is_entered_only_when_the_rest_is_full(seeds: list[str], band: int) -> None:
    pool = Pool("the range", 1, 20, band=band)
    picked = [pool.pick(f"holder {n}", seed) for n, seed in enumerate(seeds)]
    rest = 20 - band
    assert sorted(picked[:rest]) == list(range(band + 1, 21))
    assert sorted(picked[rest:]) == list(range(1, band + 1))


@given(seed=st.text(), released=st.dictionaries(SMALL, SMALL, max_size=19))
def test_what_was_released_is_not_picked_while_there_is_a_number_never_used(
    seed: str, released: dict[int, int]
) -> None:
    assert Pool("the range", 1, 20, band=16, released=released).pick("web", seed) not in released


@given(seed=st.text(), turns=st.permutations(range(1, 21)))
def test_what_was_released_longest_ago_is_reused_first(seed: str, turns: list[int]) -> None:
    pool = Pool("the range", 1, 20, released=dict(enumerate(turns, start=1)))
    assert [turns[pool.pick("web", seed) - 1] for _ in turns] == sorted(turns)


def test_pools_that_share_what_is_taken_share_what_can_be_reused() -> None:
    holders: dict[int, object] = {1: "a"}
    released = {1: 1, 2: 3, 12: 2, 99: 0}
    pools = [
        Pool("a", 1, 2, holders=holders, released=released),
        Pool("b", 11, 12, holders=holders, released=released),
    ]
    assert [pool.never_used("seed") for pool in pools] == [None, 11]
    assert longest_released(pair for pool in pools for pair in pool.reusable()) == 12


def test_nothing_can_be_reused_where_nothing_was_released() -> None:
    assert longest_released(Pool("a", 1, 2).reusable()) is None


def test_a_range_that_is_full_says_so() -> None:
    pool = Pool("the range", 1, 2, holders={1: "a", 2: "b"})
    with pytest.raises(ValueError, match=r"^the range is full: all 2 are taken$"):
        pool.pick("web", "seed")


def test_what_is_released_goes_behind_what_was_before() -> None:
    assert merge_released({"a": 4, "b": 2}, ["d", "c"]) == {"a": 4, "b": 2, "d": 5, "c": 6}
