"""The difference as a value, the same for every dataplane."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.diff import Delta, combine, diff, patch

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
