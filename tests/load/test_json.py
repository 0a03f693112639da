"""JSON documents in a row."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.load.json import JsonError, documents

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=3)


@given(values=st.lists(OBJECTS, max_size=4), space=st.sampled_from(["", "\n", " \t\r\n"]))
def test_documents_are_what_was_written_with_their_text_and_line(
    values: list[object], space: str
) -> None:
    """Characters are written in halves (RFC 8259, section 7) where one escape cannot hold them."""
    written = [json.dumps(value, indent=1) for value in values]
    found = documents("".join(space + text for text in written) + space)
    assert values == [value for _, value in found]
    assert written == [text.text for text, _ in found]
    lines = [0]
    for text in written:
        lines.append(lines[-1] + space.count("\n") + text.count("\n"))
    assert [text.line for text, _ in found] == [
        1 + before + space.count("\n") for before in lines[:-1]
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"a": 1,\n "a": 2}', 1, 'duplicate key "a"'),
        ('{}\n{"a": 1\n', 3, "expecting ',' delimiter"),
        ('{}\n\n{"a": "\\ud83d"}', 3, "half of a character (a surrogate without the other)"),
        ('{"a": NaN}', 1, "NaN is not a number in JSON"),
        ("{} x", 1, "expecting value"),
    ],
)
def test_what_is_no_json_has_the_line_and_the_reason(text: str, line: int, message: str) -> None:
    with pytest.raises(JsonError) as caught:
        documents(text)
    assert (line, message) == (caught.value.line, str(caught.value))


def test_too_many_levels_are_an_error() -> None:
    with pytest.raises(JsonError, match="nested too deep; make it flatter"):
        documents('{"a":' * 100_000)


def test_a_key_that_is_there_twice_is_found_among_very_many() -> None:
    """Each name looked for among all of them would take hours."""
    names = ",".join(f'"n{number}": 1' for number in range(200_000))
    with pytest.raises(JsonError, match='duplicate key "n199999"'):
        documents(f'{{{names}, "n199999": 2}}')
