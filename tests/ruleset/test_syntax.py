"""The text of a ruleset to declarations."""

import pytest

from groundplane.kernel.ruleset.syntax import (
    ChainDeclaration,
    ElementsDeclaration,
    HookDeclaration,
    Line,
    RulesetError,
    Set,
    TableDeclaration,
    milliseconds,
    parse,
    split,
)

TEXT = """\
table ip groundplane {
  comment "0123"
  # A comment is left out, and so is an empty line.

  map classes { typeof meta priority : verdict; size 8; }
  set ranges { typeof ip daddr; flags interval; auto-merge; elements = { 10.0.0.0/8, 192.0.2.0/24 }; }
  map kept { typeof meta priority : meta priority; flags dynamic,timeout; timeout 3h; }
  chain nat-output {
    type nat hook output priority -100
    ip daddr @ranges goto other
  }
  chain other {
  }
}
add element ip groundplane classes { 0x1 : goto other, 2 : drop }
"""


def test_every_part_of_a_table_is_found() -> None:
    table, elements = parse(TEXT)
    assert isinstance(table, TableDeclaration)
    assert ("ip", "groundplane", "0123") == (table.family, table.name, table.comment)
    classes, ranges, kept = table.sets
    assert (("meta", "priority"), ("verdict",), 8) == (classes.key, classes.data, classes.size)
    assert (("interval",), True) == (ranges.flags, ranges.auto_merge)
    assert [("10.0.0.0/8",), ("192.0.2.0/24",)] == ranges.elements
    assert (("dynamic", "timeout"), "3h") == (kept.flags, kept.timeout)
    output, other = table.chains
    assert HookDeclaration("nat", "output", "-100") == output.hook
    assert [Line(10, ("ip", "daddr", "@ranges", "goto", "other"))] == output.rules
    assert ChainDeclaration("other") == other
    assert isinstance(elements, ElementsDeclaration)
    assert [("0x1", ":", "goto", "other"), ("2", ":", "drop")] == elements.elements


def test_a_set_is_without_what_is_not_said() -> None:
    (table,) = parse("table bridge t {\n  set s { typeof ether saddr; }\n}\n")
    assert isinstance(table, TableDeclaration)
    (found,) = table.sets
    assert Set("s", found.line, ("ether", "saddr")) == found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("flush ruleset", "line 1: not a declaration: flush ruleset"),
        ("table ip t {\n  flowtable f {\n}", "line 2: not of a table: flowtable f {"),
        (
            "table ip t {\n  set s { typeof ip daddr; policy memory; }\n}",
            "line 2: not of a set: policy",
        ),
        ("table ip t {\n  set s { typeof ip daddr : verdict; }\n}", "line 2: a map has data"),
        ("table ip t {\n  map m { typeof ip daddr; }\n}", "line 2: a map has data"),
        ("table ip t {\n", "table t does not end"),
        ("table ip t {\n  chain c {\n", "chain c does not end"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(RulesetError) as raised:
        list(parse(text))
    assert str(raised.value).startswith(fault)


def test_words_are_split_outside_of_braces() -> None:
    words = ("a", "{", "b", ",", "c", "}", ",", "d")
    assert [("a", "{", "b", ",", "c", "}"), ("d",)] == split(words, ",")


@pytest.mark.parametrize(
    ("text", "expected"), [("3h", 10_800_000), ("2m", 120_000), ("60s", 60_000)]
)
def test_times(text: str, expected: int) -> None:
    assert expected == milliseconds(text)


@pytest.mark.parametrize("text", ["", "3", "h", "3d", "1.5s"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(RulesetError, match="not a time"):
        milliseconds(text)
