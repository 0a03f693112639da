"""The difference as a value, the same for every dataplane."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.diff import Delta, Union, combine, diff, patch, pieces

STATES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3))


def test_a_difference_says_what_was_there_before() -> None:
    assert diff({"a": 1, "b": 1, "c": 1}, {"b": 1, "c": 2, "d": 3}) == Delta(
        create={"d": 3}, update={"c": (1, 2)}, delete={"a": 1}
    )


def test_the_length_of_a_difference_is_the_number_of_its_changes() -> None:
    assert len(diff({"a": 1, "b": 1, "c": 1}, {"b": 1, "c": 2, "d": 3})) == 3


@given(there=STATES, wanted=STATES)
def test_a_difference_is_empty_exactly_when_nothing_differs(
    there: dict[str, int], wanted: dict[str, int]
) -> None:
    assert bool(diff(there, wanted)) == (there != wanted)


@given(there=STATES, wanted=STATES)
def test_writing_the_difference_makes_what_is_wanted(
    there: dict[str, int], wanted: dict[str, int]
) -> None:
    assert patch(there, diff(there, wanted)) == wanted


@given(there=STATES, wanted=STATES)
def test_after_writing_the_difference_it_is_empty(
    there: dict[str, int], wanted: dict[str, int]
) -> None:
    assert not diff(patch(there, diff(there, wanted)), wanted)


@given(there=STATES, wanted=STATES)
def test_a_difference_leaves_its_arguments_as_they_are(
    there: dict[str, int], wanted: dict[str, int]
) -> None:
    before = (dict(there), dict(wanted))
    patch(there, diff(there, wanted))
    assert (there, wanted) == before


PARTS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 2), st.integers(0, 3))
)


def part(state: dict[str, tuple[int, int]], number: int) -> dict[str, int]:
    return {key: value for key, (where, value) in state.items() if where == number}


@given(there=PARTS, wanted=PARTS)
def test_the_differences_of_disjoint_parts_make_one(
    there: dict[str, tuple[int, int]], wanted: dict[str, tuple[int, int]]
) -> None:
    """A key may be in one part before and in another after: then it moves, and is one update."""
    whole = diff(
        {key: value for key, (_, value) in there.items()},
        {key: value for key, (_, value) in wanted.items()},
    )
    assert combine(diff(part(there, n), part(wanted, n)) for n in range(3)) == whole


def test_no_differences_make_an_empty_one() -> None:
    assert combine([]) == Delta[str, int]()


parts_of = st.lists(st.dictionaries(st.integers(), st.integers(), max_size=3), max_size=6).map(
    lambda drawn: [{(index, key): value for key, value in part.items()}
                   for index, part in enumerate(drawn)]
)  # fmt: skip


@given(parts_of)
def test_a_union_is_what_its_parts_are_together(
    parts: list[dict[tuple[int, int], int]],
) -> None:
    whole = {key: value for part in parts for key, value in part.items()}
    union = Union(iter(parts))
    assert bool(whole) == bool(union)
    assert whole == dict(union.items()) == {key: union[key] for key in union}
    assert len(whole) == len(union)
    assert all(key in union for key in whole)
    assert Delta() == diff(whole, Union(parts))


def test_a_part_is_made_when_it_is_needed_and_once() -> None:
    made = []

    def making() -> Iterator[dict[int, int]]:
        for number in range(3):
            made.append(number)
            yield {number: number}

    union = Union(making())
    assert [] == made
    assert union
    assert [0] == made
    assert 3 == len(union) == len([*union.items()])
    assert [0, 1, 2] == made


@given(parts_of, st.integers(1, 5))
def test_pieces_are_of_whole_parts_and_together_the_same(
    parts: list[dict[tuple[int, int], int]], size: int
) -> None:
    found = [dict(piece) for piece in pieces(Union(parts), size)]
    assert dict(Union(parts)) == {key: value for piece in found for key, value in piece.items()}
    assert all(len(piece) >= size for piece in found[:-1])
    for part in parts:
        assert sum(bool(part.keys() & piece.keys()) for piece in found) <= 1


def test_a_plain_mapping_is_one_piece() -> None:
    assert [{1: 1, 2: 2}] == [*pieces({1: 1, 2: 2}, 1)]


def test_a_change_says_whether_anything_was_there() -> None:
    assert diff({}, {"a": 1}).from_nothing
    assert not diff({"b": 1}, {"a": 1}).from_nothing
    assert not combine([Delta(create={"a": 1})]).from_nothing
