"""The YAML door: YAML 1.2 scalars, and documents with the lines they start on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.load.yaml import Text, YamlError, parse, split


@pytest.mark.parametrize(
    "scalar",
    ["NO", "no", "yes", "on", "off", "0644", "22:22", "00:11:22:33:44:55", "1_000", "2026-01-01"],
)
def test_what_yaml_1_1_converts_stays_text(scalar: str) -> None:
    """YAML 1.2, 10.3.2: the core schema."""
    assert parse(f"a: {scalar}") == {"a": scalar}


@pytest.mark.parametrize(
    ("scalar", "value"),
    [("true", True), ("12", 12), ("0x1f", 31), ("0o17", 15), ("1.5", 1.5), ("~", None), ("", None)],
)
def test_the_core_schema_has_booleans_numbers_and_null(scalar: str, value: object) -> None:
    assert parse(f"a: {scalar}") == {"a": value}


def test_a_merge_key_is_an_ordinary_key() -> None:
    """YAML 1.2 has none; what it would merge is an unknown field later."""
    assert parse("a: &a {x: 1}\nb: {<<: *a}") == {"a": {"x": 1}, "b": {"<<": {"x": 1}}}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb:\n\t- c", 3, "tab in indentation; use spaces"),
        (
            "a: 1\nb: @c",
            2,
            "found character that cannot start any token, while scanning for the next token",
        ),
        ("a: 1\n b: 2", 2, "mapping values are not allowed in this context"),
        ("a: *nowhere", 1, "unknown anchor"),
        ("a: &a [*a]", 1, "an alias of what it stands in; write the value out"),
        ("[" * 5000, 1, "nested more than 128 deep; make it flatter"),
    ],
)
def test_broken_yaml_has_the_line_and_the_reason(text: str, line: int, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert (caught.value.line, str(caught.value)) == (line, message)


def test_lines_of_a_later_document_are_those_of_the_file() -> None:
    with pytest.raises(YamlError) as caught:
        parse("a: [1\nb: 2", first=41)
    assert (caught.value.line, str(caught.value)) == (
        42,
        "did not find expected ',' or ']', while parsing a flow sequence at line 41",
    )


def test_a_template_that_is_not_rendered_is_told_so() -> None:
    with pytest.raises(YamlError, match="is this a template that is not rendered"):
        parse("a: {{ .Values.name }}")


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "# only a comment", "---\n", "---\n# a comment\n---\n...\n", "%YAML 1.2\n---\n"],
)
def test_text_without_content_has_no_documents(text: str) -> None:
    assert split(text) == []


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\n", [Text(1, "a: 1\n")]),
        ("\n\na: 1\n", [Text(3, "a: 1\n")]),
        ("a: 1\n---\nb: 2\n", [Text(1, "a: 1\n"), Text(3, "b: 2\n")]),
        ("---\na: 1\n---\n\nb: 2\n", [Text(2, "a: 1\n"), Text(5, "b: 2\n")]),
        ("a: 1\n...\n---\nb: 2\n", [Text(1, "a: 1\n"), Text(4, "b: 2\n")]),
        ("--- {a: 1}\n", [Text(1, " {a: 1}\n")]),
        ("--- # why\na: 1\n", [Text(1, " # why\na: 1\n")]),
        ("a: 1\r\n---\r\nb: 2\r\n", [Text(1, "a: 1\r\n"), Text(3, "b: 2\r\n")]),
        ("# why\n---\na: 1\n", [Text(3, "a: 1\n")]),
        ("a: ---\n", [Text(1, "a: ---\n")]),
        ("---a: 1\n", [Text(1, "---a: 1\n")]),
    ],
)
def test_documents_start_on_their_first_line(text: str, documents: list[Text]) -> None:
    assert split(text) == documents


_LINES = st.lists(st.sampled_from(["", "# why", "  ", "k: v", "- x"]), max_size=4)
_MARKERS = st.sampled_from(["---", "---  ", "--- # why", "...\n---"])


@given(
    parts=st.lists(st.tuples(_LINES, _MARKERS), min_size=1), newline=st.sampled_from(["\n", "\r\n"])
)
def test_every_line_between_markers_is_found_again_where_it_stands(
    parts: list[tuple[list[str], str]], newline: str
) -> None:
    lines = [line for body, marker in parts for line in [*body, *marker.split("\n")]]
    text = "".join(line + newline for line in lines)
    content = {n: line for n, line in enumerate(lines, start=1) if line in ("k: v", "- x")}
    found = {
        document.line + below: line
        for document in split(text)
        for below, line in enumerate(document.text.split(newline))
        if line in ("k: v", "- x")
    }
    assert found == content
