"""How endpoints share slots: by weight, by a table for clients that are hashed, and by number."""

from collections import Counter
from itertools import pairwise
from math import gcd
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.project.apportionment import hash_table, numbers, share_out
from groundplane.site.map_limits import HASH_SLOTS, MAX_ENDPOINTS, WEIGHT_SLOTS

WEIGHTS = st.lists(st.integers(0, 256), min_size=1, max_size=40)
# Many of a few kinds, so that their sums are past what is shared out exactly.
CROWDS = st.lists(
    st.tuples(st.integers(0, 256), st.integers(1, 700)), min_size=1, max_size=4
).map(lambda kinds: [weight for weight, count in kinds for _ in range(count)])  # fmt: skip


def size_of(weights: list[int]) -> int:
    """Return how many slots there are when weights are rounded."""
    return min(max(WEIGHT_SLOTS, 4 * len(weights)), MAX_ENDPOINTS)


@given(weights=WEIGHTS)
def test_what_sums_up_to_1024_is_shared_exactly(weights: list[int]) -> None:
    common = gcd(*weights) or 1
    shares = share_out(weights)
    if 0 < sum(weights) // common <= WEIGHT_SLOTS:
        assert weights == [share * common for share in shares]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1, 1, 1], [1, 1, 1]),
        ([256, 256], [1, 1]),
        ([3, 1, 0], [3, 1, 0]),
        ([2, 4, 6], [1, 2, 3]),
        ([0, 0, 0], [1, 1, 1]),
        ([0], [1]),
        ([], []),
        ([7], [1]),
    ],
)
def test_shares_are_as_few_as_they_can_be(weights: list[int], expected: list[int]) -> None:
    assert expected == share_out(weights)


@given(weights=WEIGHTS | CROWDS)
def test_a_weight_above_0_has_a_slot_and_0_has_none(weights: list[int]) -> None:
    shares = share_out(weights)
    if any(weights):
        assert [weight > 0 for weight in weights] == [share > 0 for share in shares]
    else:
        assert [1] * len(weights) == shares


@given(weights=WEIGHTS | CROWDS)
def test_more_weight_never_has_fewer_slots(weights: list[int]) -> None:
    shares: dict[int, set[int]] = {}
    for weight, share in zip(weights, share_out(weights), strict=True):
        shares.setdefault(weight, set()).add(share)
    assert [] == [weight for weight, own in shares.items() if max(own) - min(own) > 1]
    assert [] == [(a, b) for a, b in pairwise(sorted(shares)) if max(shares[a]) > min(shares[b])]


@given(weights=CROWDS)
def test_what_is_rounded_fills_its_slots_and_is_within_one_of_its_share(weights: list[int]) -> None:
    total, size, shares = sum(weights), size_of(weights), share_out(weights)
    if not total or total // gcd(*weights) <= size:
        return
    assert size == sum(shares)
    if min(weight for weight in weights if weight) * size >= total:
        assert max(abs(s * total - w * size) for s, w in zip(shares, weights, strict=True)) < total


@given(weights=WEIGHTS | CROWDS)
def test_there_are_never_more_slots_than_a_pool_has(weights: list[int]) -> None:
    assert sum(share_out(weights)) <= max(size_of(weights), len(weights))


def test_many_light_ones_beside_heavy_ones_all_have_their_slot() -> None:
    """One each for 1,216 of weight 1 is more than their share; the heavy ones make room for it."""
    shares = share_out([256] * 16 + [1] * 1216)
    assert 4 * (16 + 1216) == sum(shares)
    assert {1} == {*shares[16:]}
    assert {232} == {*shares[:16]}


def test_shares_that_fit_are_exact_though_they_are_many() -> None:
    weights = [3] * 350 + [2] * 25
    assert sum(weights) > WEIGHT_SLOTS
    assert weights == share_out(weights)


# ------------------------------------------------------------------------------------------------

NAMES = [f"10.244.1.{n}:8080".encode() for n in range(300)]
WEIGHTED = st.dictionaries(
    st.sampled_from(NAMES[:12]), st.sampled_from([1, 1, 1, 0, 3, 256]), min_size=2, max_size=8
)


def table(weights: dict[bytes, int]) -> list[bytes]:
    """Return the name in each slot."""
    names = [*weights]
    return [names[index] for index in hash_table(names, [*weights.values()])]


@given(weights=WEIGHTED, data=st.data())
def test_one_that_goes_gives_its_own_slots_and_one_that_comes_takes_for_itself_alone(
    weights: dict[bytes, int], data: st.DataObject
) -> None:
    some = data.draw(st.sampled_from(sorted(weights)))
    fewer = {name: weight for name, weight in weights.items() if name != some}
    if not any(fewer.values()):  # all of weight 0: then those count
        return
    with_it, without_it = table(weights), table(fewer)
    assert {some} >= {a for a, b in zip(with_it, without_it, strict=True) if a != b}
    assert some not in without_it


@given(weights=WEIGHTED, random=st.randoms(use_true_random=False))
def test_the_order_of_names_decides_nothing(weights: dict[bytes, int], random: Random) -> None:
    order = [*weights]
    random.shuffle(order)
    assert table(weights) == table({name: weights[name] for name in order})


@given(weights=WEIGHTED)
def test_weight_0_has_no_slot_unless_all_have_it(weights: dict[bytes, int]) -> None:
    found = set(table(weights))
    if any(weights.values()):
        assert not [name for name in found if not weights[name]]
    else:
        assert table(dict.fromkeys(weights, 1)) == table(weights)


@pytest.mark.parametrize("weight", [2, 256])
def test_equal_weights_are_no_weights(weight: int) -> None:
    names = NAMES[:5]
    assert table(dict.fromkeys(names, 1)) == table(dict.fromkeys(names, weight))


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (3, 0, 1), (256, 1, 64)])
def test_slots_are_shared_by_weight(weights: tuple[int, ...]) -> None:
    """Over a hundred services, each within four standard deviations of its share."""
    shares: Counter[int] = Counter()
    for service in range(100):
        names = NAMES[service : service + len(weights)]
        shares.update(hash_table(names, weights))
    slots = 100 * HASH_SLOTS
    for index, weight in enumerate(weights):
        chance = weight / sum(weights)
        deviation = (slots * chance * (1 - chance)) ** 0.5
        assert abs(shares[index] - slots * chance) <= 4 * deviation


def test_each_of_a_hundred_has_a_slot() -> None:
    """Ten on average. Of 256, which have four, two in a hundred have none: exp(-4)."""
    assert 100 == len({*hash_table(NAMES[:100], [1] * 100)})
    assert 246 < len({*hash_table(NAMES[:256], [1] * 256)})


def test_a_table_has_every_slot_whatever_its_endpoints() -> None:
    assert [0] * HASH_SLOTS == hash_table([b"only"], [0])
    assert HASH_SLOTS == len(hash_table(NAMES[:3], [0, 1, 2]))


# ------------------------------------------------------------------------------------------------

SETS = st.sets(st.binary(max_size=3), max_size=8)


@given(names=SETS, size=st.sampled_from([8, 11, 4096]), random=st.randoms(use_true_random=False))
def test_numbers_are_all_different_and_independent_of_the_order(
    names: set[bytes], size: int, random: Random
) -> None:
    order = sorted(names)
    found = numbers(order, size)
    random.shuffle(order)
    assert found == numbers(order, size)
    assert found.keys() == names
    assert len({*found.values()}) == len(names)
    assert [n for n in found.values() if not 0 <= n < size] == []


def test_a_name_that_is_given_twice_has_one_number() -> None:
    assert numbers([b"a", b"b"], 8) == numbers([b"a", b"b", b"a"], 8)


def test_one_that_comes_or_goes_hardly_moves_another() -> None:
    """300 of 4,096: one in fourteen finds its number taken."""
    before = numbers(NAMES, 4096)
    moved = 0
    for gone in NAMES[::10]:
        after = numbers([name for name in NAMES if name != gone], 4096)
        moved += sum(after[name] != before[name] for name in after)
    assert moved <= 6  # of 30 * 299
