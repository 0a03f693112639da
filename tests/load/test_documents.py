"""Files to documents: Lists, JSON, and what is wrong with the text of a document."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import MAX_LOCK_BYTES, allocate_source
from groundplane.documents.catalog import Catalog
from groundplane.errors import SourceError
from groundplane.load import load, tree
from tests.catalogs import SITE, faults, write

WEB = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


def load_files(source: Path, files: dict[str, str]) -> Catalog:
    write(source, {"site.yaml": SITE, **files})
    return load(source)


def test_the_items_of_a_list_are_documents(source: Path) -> None:
    text = """\
        apiVersion: v1
        kind: List
        items:
        - {apiVersion: v1, kind: Service, metadata: {name: web}}
        - {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
        """
    found = load_files(source, {"a.yaml": text})
    assert (list(found.services), list(found.namespaces)) == ([("default", "web")], ["shop"])


def test_a_list_names_the_line_of_the_item_that_is_wrong(source: Path) -> None:
    """The first is seen when it is read, the second when it is checked."""
    text = """\
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: Service
          metadata: {name: web}
          spec:
            ports:
            - port: 0
        - apiVersion: v1
          kind: Service
          metadata: {name: db}
          spec:
            ports:
            - prt: 0
        """
    assert faults(source, text) == [
        'site/test.yaml:15: Service/default/db: spec.ports[0]: "port" is required',
        (
            "site/test.yaml:15: Service/default/db: spec.ports[0].prt: "
            'unknown field "prt"; did you mean "port"?'
        ),
    ]
    assert faults(source, text.replace("prt: 0", "port: 80")) == [
        "site/test.yaml:9: Service/default/web: spec.ports[0].port: 0 is not a port: 1 to 65535"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: web}}]\n",
        (
            "apiVersion: v1\nkind: List\nitems:\n- kind: List\n  items:\n  - {apiVersion: v1, "
            "kind: Service, metadata: {name: web}}\n"
        ),
        '{"apiVersion": "v1", "kind": "ServiceList", "items": [{"metadata": {"name": "web"}}]}',
    ],
)
def test_typed_lists_and_lists_in_lists_are_read_by_their_items(source: Path, text: str) -> None:
    assert [("default", "web")] == list(load_files(source, {"a.yaml": text}).services)


def test_an_item_in_a_list_in_a_list_is_named_by_its_line(source: Path) -> None:
    text = """\
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: ServiceList
          items:
          - metadata: {name: web}
            spec:
              ports:
              - port: 0
        """
    assert faults(source, text) == [
        "site/test.yaml:10: Service/default/web: spec.ports[0].port: 0 is not a port: 1 to 65535"
    ]


def test_typed_lists_of_other_kinds_are_skipped_by_their_items(source: Path) -> None:
    text = "apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: a}}, {}]\n"
    assert load_files(source, {"a.yaml": text}).skipped == (
        "2 ConfigMap documents skipped: nothing in this kind is for us",
    )


def test_the_items_of_a_list_are_a_list(source: Path) -> None:
    assert faults(source, "apiVersion: v1\nkind: List\nitems: {a: b}\n") == [
        "site/test.yaml:3: List: items: expected a list"
    ]


JSON = '{"apiVersion":"v1","kind":"Service","metadata":{"name":"NAME"}}'


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("between", ["", "\n", " \n\n"])
def test_json_documents_stand_in_a_row(source: Path, name: str, between: str) -> None:
    text = JSON.replace("NAME", "web") + between + JSON.replace("NAME", "db") + "\n"
    assert [("default", "web"), ("default", "db")] == list(
        load_files(source, {name: text}).services
    )


def test_a_mapping_in_braces_that_is_no_json_is_yaml(source: Path) -> None:
    text = "{apiVersion: v1, kind: Service, metadata: {name: web}}\n---\n" + WEB.replace(
        "web", "db"
    )
    found = load_files(source, {"a.yaml": text}).services
    assert [("default", "web"), ("default", "db")] == list(found)


def test_a_fault_in_json_has_its_line(source: Path) -> None:
    text = JSON.replace("NAME", "web") + '\n{"apiVersion": "v1", "kind": "Service",\n"spec": 1}'
    write(source, {"a.json": text})
    assert 'site/a.json:2: Service: "metadata" is required' in faults(source, "")
    assert "site/a.json:3: Service: spec: expected a mapping, got a number" in faults(source, "")


def test_json_that_breaks_off_is_an_error(source: Path) -> None:
    write(source, {"a.json": '{"apiVersion": "v1",\n"kind": "Serv'})
    assert faults(source, "") == ["site/a.json:2: not JSON: unterminated string starting at"]


def test_json_of_others_is_told_of(source: Path) -> None:
    found = load_files(source, {"package.json": '{"name": "site", // a comment\n}'})
    message = "site/package.json is not read: it holds no Kubernetes document"
    assert (message,) == found.skipped


def test_a_second_document_needs_a_marker(source: Path) -> None:
    (found,) = faults(source, WEB + WEB.replace("web", "db"))
    assert (
        found == 'site/test.yaml:5: a second document begins here: write "---" in a line before it'
    )


def test_a_duplicate_key_in_a_kind_that_is_skipped_blocks_nothing(source: Path) -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {labels: {a: b, a: c}}\n"
    assert load_files(source, {"a.yaml": text}).skipped == (
        "1 Deployment document skipped: nothing in this kind is for us",
    )


def test_a_template_that_is_no_yaml_is_called_so(source: Path) -> None:
    (found,) = faults(source, '{{- if .x }}\napiVersion: v1\nkind: "Service\n')
    assert "is this a template that is not rendered ({{ … }})?" in found


@pytest.mark.parametrize(
    "written", ["1.10", "1234e56", "0x1F", "0o17", ".inf", "12345678901234567890", "true", "TRUE"]
)
def test_a_label_that_is_no_text_is_quoted_as_it_is_written(source: Path, written: str) -> None:
    text = WEB.replace("{name: web}", f"\n  name: web\n  labels: {{version: {written}}}")
    assert faults(source, text) == [
        (
            "site/test.yaml:5: Service/default/web: metadata.labels.version: expected text, "
            f'got {written}; quote it: "{written}"'
        )
    ]


def test_what_is_quoted_in_a_list_is_that_of_the_item(source: Path) -> None:
    item = "- {apiVersion: v1, kind: Service, metadata: {name: web, labels: {version: 1.10}}}"
    (found,) = faults(source, f"kind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n{item}\n")
    assert found.endswith('got 1.10; quote it: "1.10"')


def test_the_aliases_of_all_files_share_one_limit(source: Path) -> None:
    """Each document is within it, and both together are not."""
    text = f"a: &a {'x' * (1 << 20)}\nb: [{', '.join(['*a'] * 9)}]\n"
    found = faults(source, text, site=f"{SITE}---\n{text}")
    reason = "aliases come to more than 16 MiB when they are written out; use fewer"
    assert [f"site/test.yaml:2: not YAML: {reason}"] == [each for each in found if reason in each]


def test_files_that_are_too_large_together_are_not_read(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_BYTES", 3 << 20)
    write(source, {"site.yaml": SITE})
    for number in range(4):
        with (source / f"{number}.yaml").open("wb") as file:
            file.truncate(1 << 20)
    message = "site: its files have 4 MiB together, and 3 MiB are the limit; name others in .ground"
    with pytest.raises(SourceError, match=message):
        load(source)
    write(source, {".groundplaneignore": "/*.yaml\n!/site.yaml\n"})
    assert load(source)


def test_too_many_files_are_not_read(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_FILES", 3)
    write(source, {"site.yaml": SITE, "a.yaml": "", "b.yaml": "", "c.yaml": ""})
    with pytest.raises(SourceError, match=r"over 3 files; name others in \.groundplaneignore"):
        load(source)


def test_a_lock_that_is_too_large_is_not_read(source: Path) -> None:
    catalog = load_files(source, {})
    with (source / "addresses.lock").open("wb") as file:
        file.truncate(MAX_LOCK_BYTES + 1)
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        allocate_source(source, catalog)
