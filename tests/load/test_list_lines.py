"""Lines of a List's items: right, or none."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundplane.load.list_lines import item_lines

LIST = """\
# A List.
apiVersion: v1
items:  # a comment

- kind: Service
  metadata: {name: a}
# another one
-
  kind: Service
  spec:
    text: |
      - no item
    list:
    - no item
- {kind: Service, metadata: {name: c}}
kind: List
"""


@pytest.mark.parametrize("indent", ["", "  ", "    "])
def test_items_of_a_block_have_lines(indent: str) -> None:
    head, items = LIST.split("\n\n")
    listed, end = items.rsplit("kind: List", 1)
    text = head + "\n\n" + "".join(indent + line for line in listed.splitlines(True))
    assert [4, 7, 14] == item_lines(f"{text}kind: List{end}", 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "items:\n",
        "items: [{a: 1}, {b: 2}]\n",
        "items: []\n",
        json.dumps({"items": [{"a": 1}]}, indent=2),
        "items:\n[{a: 1},\n{b: 2}]\n",
        "metadata:\n  items:\n  - a\n  - b\n",
    ],
)
def test_other_lists_have_none(text: str) -> None:
    assert () == item_lines(text, 2)


VALUES = st.recursive(
    st.text("ab- \n:#'", max_size=8) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(st.lists(VALUES, min_size=1, max_size=5), st.sampled_from([None, "|", ">", "'"]))
def test_the_lines_are_those_that_a_parser_tells(items: list[object], style: str | None) -> None:
    text = yaml.safe_dump({"apiVersion": "v1", "items": items, "kind": "List"},
                          default_style=style, default_flow_style=False)  # fmt: skip
    found = item_lines(text, len(items))
    document = yaml.compose(text)
    assert isinstance(document, yaml.MappingNode)
    (root,) = [node for key, node in document.value if key.value == "items"]
    if found:
        dashes = [each.start_mark for each in root.value]
        assert all(line <= mark.line for line, mark in zip(found, dashes, strict=True))
        parsed = [yaml.safe_load("\n".join(text.splitlines()[line:end])) for line, end in zip(
            found, [*found[1:], root.end_mark.line], strict=True)]  # fmt: skip
        assert [[each] for each in items] == parsed
