"""YAML as text: what is taken out goes, and every other byte stays."""

from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.yaml_text import Document, Node

GOING = frozenset(("addresses", "routes", "gateway4"))
STAYING = ("mtu", "macaddress", "wakeonlan", "dhcp4")
SCALARS = st.sampled_from(
    ["001122334455", "010", "0x10", "52:54:00:12:34:56", "yes", "'it''s'", '"a\\tb"', "~", "1e3"]
)
COMMENTS = st.sampled_from(["", "  # by hand", "\t#: [x], {y}"])


def inner(document: Document, *keys: str) -> Node:
    node = document.root
    for key in keys:
        assert node
        node = dict(document.entries(node, key))[key]
    assert node
    return node


def without(text: str, *keys: str) -> str:
    document = Document("/etc/netplan/a.yaml", text)
    return document.without([(inner(document, *keys), GOING)])


@st.composite
def values(draw: st.DrawFn, indent: str) -> str:
    """What may stand after a key of a block, with its line end."""
    comment = draw(COMMENTS)
    scalar = draw(SCALARS)
    return draw(
        st.sampled_from(
            [
                f" {scalar}{comment}\n",
                f"   {scalar}{comment}\n",
                f"{comment}\n{indent}- {scalar}\n{indent}# inside\n\n{indent}- [{scalar}]{comment}\n",
                f"{comment}\n{indent}  - to: {scalar}\n{indent}    via: {scalar}{comment}\n",
                f" [{scalar},{comment}\n{indent} {scalar}]{comment}\n",
                f" {{a: {scalar}}}{comment}\n",
                f" |\n{indent}  {scalar}\n{indent}  # no comment\n",
                f" >-\n{indent}   {scalar}\n",
                f" &x {scalar}{comment}\n",
            ]
        )
    )


@st.composite
def blocks(draw: st.DrawFn) -> list[tuple[bool, str]]:
    """Lines of a block mapping: whether they stay, and what they are."""
    indent = " " * draw(st.integers(1, 8))
    keys = draw(st.permutations([*GOING, *STAYING]))
    parts: list[tuple[bool, str]] = []
    anchored = False
    for key in keys[: draw(st.integers(1, len(keys)))]:
        parts.append(
            (True, draw(st.sampled_from(["", "\n", f"{indent}# {key}: 1\n", "# at the left\n"])))
        )
        value = draw(values(indent))
        assume(not (anchored and "&x" in value))
        anchored |= "&x" in value
        quote = draw(st.sampled_from(["", "'", '"']))
        parts.append((key not in GOING, f"{indent}{quote}{key}{quote}:{value}"))
    return parts


@given(blocks(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_of_a_block_the_other_lines_stay(
    parts: list[tuple[bool, str]], line_end: str, cut_end: bool
) -> None:
    head, tail = "# head\n\neno1:   # of the house\n", "eno2: {addresses: [a]}\n"
    if cut_end:
        tail = tail[:-1]
    assume(any(stays and part.strip() and ":" in part.split("#")[0] for stays, part in parts))
    text = head + "".join(part for _, part in parts) + tail
    left = head + "".join(part for stays, part in parts if stays) + tail
    assert without(text.replace("\n", line_end), "eno1") == left.replace("\n", line_end)


@st.composite
def flows(draw: st.DrawFn) -> str:
    keys = draw(st.permutations([*GOING, *STAYING]))[: draw(st.integers(0, 7))]
    blank = st.sampled_from(["", " ", "\n", "  # a, b: c}\n ", "\n  "])
    entries = [
        f"{draw(blank)}{key}: {draw(st.sampled_from(['[x, {y: z}]', '010', '{}']))}{draw(blank)}"
        for key in keys
    ]
    comma_at_end = draw(st.booleans())
    if entries and comma_at_end:
        entries.append(draw(blank))
    return "{" + ",".join(entries) + "}"


@given(flows())
def test_of_braces_the_other_entries_stay_and_what_is_between_them(flow: str) -> None:
    text = f"eno1: {flow} # {{}}\neno2: 010\n"
    left = without(text, "eno1")
    expected = loaded(text)
    expected["eno1"] = {key: each for key, each in expected["eno1"].items() if key not in GOING}
    assert loaded(left) == expected
    assert is_part_of(left, text)
    if not GOING & loaded(text)["eno1"].keys():
        assert left == text


JSON_LIKE = st.recursive(
    st.text("aä0:,#'\"{}[] \t-*&!|>%@", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*GOING, *STAYING]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from([*GOING, *STAYING]), JSON_LIKE),
    st.sampled_from([True, False, None]),
    st.integers(2, 6),
)
def test_whatever_is_dumped_loses_those_entries_alone(
    content: dict[str, Any], flow: bool | None, indent: int
) -> None:
    text = yaml.safe_dump(
        {"a": JSON, "eno1": content, "z": ["010"]}, default_flow_style=flow, indent=indent
    )
    left = without(text, "eno1")
    kept = {key: each for key, each in content.items() if key not in GOING}
    assert loaded(left) == {"a": JSON, "eno1": kept, "z": ["010"]}
    assert is_part_of(left.replace("{}", ""), text)


JSON = {"addresses": ["a"], "b": "52:54:00:12:34:56"}


def loaded(text: str) -> Any:
    return yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes text of every scalar


def is_part_of(left: str, text: str) -> bool:
    """Whether *left* is *text* without some characters."""
    characters = iter(text)
    return all(each in characters for each in left)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\ufeffeno1: {addresses: [a]}", "\ufeffeno1: {}"),
        ("eno1: {addresses: [a], dhcp4: on}", "eno1: {dhcp4: on}"),
        ("eno1: {dhcp4: on, addresses: [a]}", "eno1: {dhcp4: on}"),
        ("eno1: {dhcp4: on, addresses: [a], mtu: 010}", "eno1: {dhcp4: on, mtu: 010}"),
        ("eno1: { dhcp4: on, addresses: [a], routes: [] }", "eno1: { dhcp4: on }"),
        ("eno1: {addresses: [a], routes: []}", "eno1: {}"),
        ("eno1: {addresses: [a],}", "eno1: {}"),
        ("eno1: {\n  # a\n  dhcp4: on, # b\n  addresses: [a] # c\n}\n",
         "eno1: {\n  # a\n  dhcp4: on # b\n}\n"),
        ("eno1: # a\n  # b\n  addresses: [x] # c\n  routes:\n  - {}\n  # d\n",
         "eno1: # a\n  # b\n  {}\n  # d\n"),
        ("eno1:\n  addresses: [x]", "eno1:\n  {}"),
        ("eno1: &a\n  addresses: &b [x]\n  routes: *b\n  mtu: 1\n", "eno1: &a\n  mtu: 1\n"),
        ("x: &x [a]\neno1:\n  addresses: *x\n  mtu: 1\n", "x: &x [a]\neno1:\n  mtu: 1\n"),
    ],
)  # fmt: skip
def test_what_is_left(text: str, left: str) -> None:
    assert without(text, "eno1") == left


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eno1: &a\n  addresses: [x]\neno2: *a\n",
         r"addresses has to go from here, but line 3 uses it too, by the alias \*a"),
        ("a: &a {addresses: [x]}\n\neno1: *a\n", "line 3 uses it too"),
        ("eno1:\n\n  addresses: &a [x]\n  mtu: 1\neno2: {addresses: *a}\n", "line 5 uses it too"),
        ("eno1:\n  ? addresses\n  : [x]\n", "write it on lines of its own"),
    ],
)  # fmt: skip
def test_what_cannot_go_is_told(text: str, said: str) -> None:
    with pytest.raises(BridgeError, match=rf"^/etc/netplan/a\.yaml:[123]: .*{said}"):
        without(text, "eno1")
