"""Numbers for service ports: a pure function of the set of ports."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from groundplane.compile import port_ids
from groundplane.compile.port_ids import POOLS, number_pools

Key = tuple[str, str, str, int]
KEYS = st.sets(
    st.tuples(
        st.sampled_from(["default", "shop"]),
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from(["TCP", "UDP"]),
        st.integers(1, 65535),
    ),
    max_size=30,
)
# Few homes, so that numbers collide in nearly every example.
CROWDED = st.sets(st.integers(1, 40), max_size=30)


def crowd(ports: set[int]) -> list[Key]:
    return [("default", "web", "TCP", port) for port in sorted(ports)]


@given(keys=KEYS)
def test_numbers_are_even_all_different_and_of_20_bits(keys: set[Key]) -> None:
    numbers = number_pools(keys)
    assert numbers.keys() == keys
    assert len(set(numbers.values())) == len(keys)
    assert [n for n in numbers.values() if n % 2 or not 0 <= n < 2 * POOLS] == []


@given(keys=KEYS, random=st.randoms(use_true_random=False))
def test_numbers_do_not_depend_on_the_order(keys: set[Key], random: Random) -> None:
    order = sorted(keys)
    random.shuffle(order)
    assert number_pools(order) == number_pools(sorted(keys))


@given(ports=CROWDED, random=st.randoms(use_true_random=False))
def test_numbers_that_collide_do_not_depend_on_the_order_either(
    ports: set[int], random: Random
) -> None:
    order = crowd(ports)
    random.shuffle(order)
    assert crowded(order) == crowded(crowd(ports))


@given(ports=CROWDED)
def test_numbers_that_collide_are_all_different(ports: set[int]) -> None:
    numbers = crowded(crowd(ports))
    assert sorted(numbers) == crowd(ports)
    assert len(set(numbers.values())) == len(ports)


@given(keys=KEYS.filter(bool), data=st.data())
def test_removing_a_port_moves_no_other_that_did_not_collide(
    keys: set[Key], data: st.DataObject
) -> None:
    """Among 2**19 numbers thirty ports share a home in one set of a thousand."""
    gone = data.draw(st.sampled_from(sorted(keys)))
    homes = [port_ids._home(key) for key in keys]
    before, after = number_pools(keys), number_pools(keys - {gone})
    apart = len({home + step for home in homes for step in (0, 1)}) == 2 * len(homes)
    moved = [key for key in after if after[key] != before[key]]
    assert not (apart and moved)


def test_removing_a_port_of_many_moves_few() -> None:
    keys = {("default", f"web-{n}", "TCP", 80) for n in range(10_000)}
    before = number_pools(keys)
    after = number_pools(keys - {("default", "web-7", "TCP", 80)})
    assert len([key for key in after if after[key] != before[key]]) <= 2


def crowded(keys: list[Key]) -> dict[Key, int]:
    """Return the numbers of *keys* when there are only eight homes."""
    home = port_ids._home
    port_ids._home = lambda key: key[3] % 8
    try:
        return number_pools(keys)
    finally:
        port_ids._home = home
