"""A mapping that changes by copies, which share what did not change."""

from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from groundplane.project.persistent_map import changed

keys = st.text("abc", max_size=3)
mappings = st.dictionaries(keys, st.integers())
changes = st.dictionaries(keys, st.none() | st.integers())


@given(mappings, changes)
def test_a_changed_copy_is_what_a_dictionary_would_be(
    before: dict[str, int], change: dict[str, int | None]
) -> None:
    first = Map(before)
    second = changed(first, change)
    wanted = {key: value for key, value in (before | change).items() if value is not None}
    assert before == dict(first)
    assert wanted == dict(second)
    assert (len(wanted), set(wanted)) == (len(second), set(second))
    assert all(key in second and second[key] == value for key, value in wanted.items())
    assert second.get("none") is None
