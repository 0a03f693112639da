"""What would cost a parser too much is refused before it runs."""

import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.load import cost
from groundplane.load.cost import (
    MAX_ALIAS_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    CostError,
    Room,
    check_cost,
    room_in,
)
from groundplane.load.yaml import YamlError, parse

DEEP = "nested more than 128 deep; make it flatter"
TOO_MUCH = "aliases come to more than 16 MiB when they are written out; use fewer"


def refused(text: str, left: int = MAX_ALIAS_BYTES) -> tuple[int, str] | None:
    """Return line and reason where *text* costs too much."""
    try:
        check_cost(text, Room(left))
    except CostError as error:
        return error.line, str(error)
    return None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[" * 100_000, 1),
        ("{a: " * 100_000, 1),
        ("[\n" * 100_000, MAX_DEPTH + 1),
        ("- " * 50_000, 1),
        ("? " * 50_000, 1),
        ("".join(f"{' ' * each}a:\n" for each in range(1000)), MAX_DEPTH + 1),
        ("a: " + "[" * 129 + "]" * 129, 1),
    ],
)
def test_a_document_that_is_too_deep_is_read_no_further_than_that(text: str, line: int) -> None:
    """100 kB of brackets took the parser 35 s; here they have two seconds of CPU time."""
    code = (
        "import sys; from groundplane.load.yaml import YamlError, parse\n"
        "try: parse(sys.stdin.read())\n"
        "except YamlError as error: print(error.line, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        text=True,
        capture_output=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (2, 2)),
    )
    assert f"{line} {DEEP}\n" == done.stdout


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_the_deepest_document_that_passes_is_the_parsers_own(opening: str) -> None:
    closing = {"[": "]", "{a: ": "}", "- ": ""}[opening]
    deepest = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    assert refused(deepest) is None
    assert parse(deepest)
    assert (1, DEEP) == refused(opening + deepest + closing)


@pytest.mark.parametrize(
    "text",
    [
        "a: '" + "[" * 100_000 + "'",
        "a: |\n" + "  [\n" * 1000,
        "# " + "[" * 1000 + "\na: 1",
        "a: |\n" + " " * 1000 + "x\n",
        "a: R&D, 2 * 3",
        "a: '&a'\nb: '*a'",
        "a: }}}}]]]]",
        "- [[], {}, [{}]]\n" * 1000,
    ],
)
def test_what_only_looks_expensive_passes(text: str) -> None:
    assert refused(text) is None


def test_of_usual_documents_the_characters_alone_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cost, "_read", lambda *_: pytest.fail("read twice"))
    check_cost("- {name: web, labels: {app: [a, {b: c}]}}\n" * 10_000, Room())


BOMB = "a0: &a0 [xxxxxxxx]\n" + "".join(
    f"a{each}: &a{each} [*a{each - 1}, *a{each - 1}]\n" for each in range(1, 100)
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a: &a {'x' * 10_000}\nb: [{'*a, ' * 200_000}]\n", 2),
        (f"a: &a [{'[], ' * 10_000}]\nb: [{'*a, ' * 200_000}]\n", 2),
        (f"a: &a {{{', '.join(f'k{n}: 1' for n in range(999))}}}\nb: [{'*a, ' * 200_000}]\n", 2),
        (BOMB, 21),
    ],
)
def test_aliases_count_by_the_bytes_that_they_stand_for(text: str, line: int) -> None:
    """1 MB of YAML, written out by the parser, was 2 GB."""
    assert (line, TOO_MUCH) == refused(text)


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("a: &a xx\nb: *a\nc: *a\n", 2 * 4),
        ("a: &a [xx, y]\nb: *a\n", 2 + 4 + 3),
        ("a: &a [xx]\nb: &b [*a, *a]\nc: *b\n", 2 * 6 + 14),
        ("a: &a x\nb: &a yyyy\nc: *a\n", 6),
        ("a: &a [&a x, *a]\n", 3),
        ("a: &a é\nb: *a\n", 4),
    ],
)
def test_what_an_alias_adds_is_its_text_and_two_bytes_for_each_value(text: str, added: int) -> None:
    assert refused(text, added) is None
    assert refused(text, added - 1) is not None


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a\n  b: [1, *a]", "&a {b: &b [*a], c: *b}"])
def test_an_alias_of_what_it_stands_in_is_refused(text: str) -> None:
    _, reason = refused(text) or (0, "")
    assert "an alias of what it stands in; write the value out" == reason


@pytest.mark.parametrize(
    "text", ["a: [" + "[]," * 20 + "]", "- a\n" * 21, "{" + "a: {}," * 11 + "}", "? a\n? b\n" * 11]
)
def test_a_document_has_no_more_values_than_memory_is_for(text: str) -> None:
    """Each takes some hundred bytes, and a parser without memory ends in no words of ours."""
    with pytest.raises(CostError, match="over 20 values in one document; split it"):
        check_cost(text, Room(values=20))


def test_characters_of_a_text_are_no_values() -> None:
    check_cost("a: |\n" + "  x: [1, 2, - {}]\n" * 100, Room(values=20))


def test_on_a_small_machine_a_document_has_fewer() -> None:
    assert room_in(400 << 20).values == 1 << 20
    assert room_in(64 << 30).values == MAX_VALUES


def test_documents_share_the_room_of_a_source() -> None:
    room = Room(10)
    text = "a: &a xxx\nb: *a\n"
    parse(text, room=room)
    parse(text, room=room)
    with pytest.raises(YamlError, match="aliases come to more"):
        parse(text, 41, room)


@given(st.text(alphabet="[]{}-?:&*ab'\"#| \n\t,"))
def test_whatever_the_text_only_the_cost_is_told_here(text: str) -> None:
    found = refused(text)
    assert found is None or found[1] != DEEP
