"""A mapping that changes by copies, which share what did not change."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.project.persistent_map import Sharded

keys = st.text("abc", max_size=3)
mappings = st.dictionaries(keys, st.integers())
changes = st.dictionaries(keys, st.none() | st.integers())


@given(mappings, changes)
def test_a_changed_copy_is_what_a_dictionary_would_be(
    before: dict[str, int], changed: dict[str, int | None]
) -> None:
    first = Sharded(before.items())
    second = first.changed(changed)
    wanted = {key: value for key, value in (before | changed).items() if value is not None}
    assert before == dict(first)
    assert wanted == dict(second)
    assert (len(wanted), wanted.keys()) == (len(second), second.keys())
    assert all(key in second and second[key] == value for key, value in wanted.items())
    assert second.get("none") is None
