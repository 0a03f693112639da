"""Where paths stand, and keys that stand twice."""

from collections.abc import Iterable, Iterator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundplane.documents.path import join
from groundplane.load.positions import duplicate_keys, line_of

SERVICE = """\
kind: Service
metadata:
  labels:
    app.example/name: web
    "1": one
spec:
  ports:
  - port: 80
  - name: metrics
    port: 9090
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 0),
        ("kind", 0),
        ("metadata.labels", 2),
        ('metadata.labels["app.example/name"]', 3),
        ("metadata.labels.1", 4),
        ("spec.ports", 6),
        ("spec.ports[0]", 7),
        ("spec.ports[1].port", 9),
    ],
)
def test_a_path_stands_where_its_key_does(path: str, line: int) -> None:
    assert line_of(SERVICE, path) == line


@pytest.mark.parametrize(
    ("path", "line"), [("spec.ports[1].targetPort", 8), ("spec.ports[7].port", 6), ("status.x", 0)]
)
def test_a_path_that_is_not_there_stands_at_its_nearest_parent(path: str, line: int) -> None:
    assert line_of(SERVICE, path) == line


VALUES = st.recursive(
    st.none() | st.integers() | st.text("ab-: #\n", max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def paths(value: object, path: str = "") -> Iterator[str]:
    yield path
    steps: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    for step, inner in steps:
        yield from paths(inner, join(path, step))


@given(items=st.lists(VALUES, max_size=4), other=VALUES, spaces=st.sampled_from(["", "  "]))
def test_items_of_a_list_stand_where_those_of_any_mapping_do(
    items: list[object], other: object, spaces: str
) -> None:
    """Items of a List are composed one by one; those of another key with the whole document."""
    lines = yaml.safe_dump(items).splitlines() if items else ["- x"]
    listed = "".join(f"{spaces}{line}\n" if line else "\n" for line in lines)
    text = f"# a List\nitems: # of these\n\n{listed}{yaml.safe_dump({'other': other})}"
    for path in paths({"items": items or ["x"], "other": other}):
        whole = path.replace("items", "other_", 1) if path.startswith("items") else path
        assert line_of(text.replace("items", "other_", 1), whole) == line_of(text, path)


def test_an_item_with_an_alias_has_its_line() -> None:
    text = "items:\n- a: &a {x: 1}\n- b: *a\n  c: 1\n"
    assert 3 == line_of(text, "items[1].c")


def test_text_that_is_no_yaml_has_its_paths_on_the_first_line() -> None:
    assert line_of("a: [", "a") == 0


def test_every_second_key_is_named_with_its_line_and_its_mapping() -> None:
    text = "a: 1\nb:\n- {c: 1}\n- c: 1\n  c: 2\na: 2\na: 3\n"
    assert duplicate_keys(text) == [(4, "b[1]", "c"), (5, "", "a"), (6, "", "a")]


def test_a_second_key_behind_many_aliases_is_named_once() -> None:
    """And soon, though the document is a bomb."""
    bomb = "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(5))
    assert duplicate_keys(f"a0: &a0 {{c: 1, c: 2}}\n{bomb}") == [(0, "a0", "c")]


def test_an_alias_of_itself_does_not_end_the_search_for_second_keys() -> None:
    assert duplicate_keys("a: &a\n  b: *a\n  c: 1\n  c: 2\n") == [(3, "a", "c")]
