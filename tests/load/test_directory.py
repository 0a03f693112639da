"""A source directory: what is read, and the exact line of everything that is wrong in it."""

import os
from pathlib import Path

import pytest

from groundplane.documents.catalog import Catalog
from groundplane.errors import CatalogError, SourceError
from groundplane.load import load, tree
from groundplane.load.ignore import HINT
from tests.catalogs import SITE, faults, read, write


def load_faults(source: Path, files: dict[str, str]) -> list[str]:
    write(source, files)
    with pytest.raises(CatalogError) as caught:
        load(source)
    return str(caught.value).splitlines()


def load_files(source: Path, files: dict[str, str]) -> Catalog:
    write(source, {"site.yaml": SITE, **files})
    return load(source)


WEB = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "deep/er/a.yaml"])
def test_yaml_files_are_read_at_any_depth(source: Path, name: str) -> None:
    assert list(load_files(source, {name: WEB}).services) == [("default", "web")]


@pytest.mark.parametrize("name", ["a.txt", ".a.yaml", ".git/a.yaml", "addresses.lock", "a.yaml~"])
def test_other_and_hidden_files_are_not_read(source: Path, name: str) -> None:
    assert load_files(source, {name: WEB}).services == {}


def test_a_file_holds_any_number_of_documents(source: Path) -> None:
    text = f"{WEB}---\n# nothing\n---\n{WEB.replace('web', 'db')}"
    assert list(load_files(source, {"a.yaml": text}).services) == [
        ("default", "web"),
        ("default", "db"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_document(source: Path) -> None:
    write(source, {"site.yaml": SITE})
    (source / "a.yaml").write_bytes(b"\xef\xbb\xbf" + WEB.encode())
    assert list(load(source).services) == [("default", "web")]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "- a\n",
            f"site/a.yaml:1: a document is a mapping with apiVersion and kind; {HINT}",
        ),
        (
            "\n\nkind: Service\n",
            f"site/a.yaml:3: apiVersion and kind are required, as text; {HINT}",
        ),
        (
            "apiVersion: v1\nkind: 5\n",
            f"site/a.yaml:1: apiVersion and kind are required, as text; {HINT}",
        ),
        (
            "apiVersion: v2\nkind: Service\nmetadata: {name: web, namespace: shop}\n",
            'site/a.yaml:1: Service/shop/web: apiVersion: Service has apiVersion "v1", not "v2"',
        ),
        (
            "apiVersion: groundplane/v1\nkind: Worklod\n",
            'site/a.yaml:2: Worklod: kind: unknown kind "Worklod"; did you mean "Workload"?',
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  portz: []\n",
            (
                "site/a.yaml:6: Service/default/web: spec.portz: "
                'unknown field "portz"; did you mean "ports"?'
            ),
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports: 80\n",
            "site/a.yaml:6: Service/default/web: spec.ports: expected a list, got a number",
        ),
        (
            "apiVersion: groundplane/v1\nkind: Node\nmetadata: {name: n1}\nspec: {}\n",
            'site/a.yaml:4: Node/n1: spec: "addresses" is required',
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  labels:\n    a: x\n    a: y\n",
            'site/a.yaml:6: metadata.labels: duplicate key "a"',
        ),
        (
            "a: 1\n---\nb:\n\t- c\n",
            ("site/a.yaml:4: not YAML: tab in indentation; use spaces"),
        ),
        (
            "a: {{ .Values.name }}\n",
            (
                "site/a.yaml:1: not YAML: a mapping or list as a key; "
                "is this a template that is not rendered ({{ … }})? then name it in "
                ".groundplaneignore"
            ),
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(source: Path, text: str, fault: str) -> None:
    found = load_faults(source, {"site.yaml": SITE, "a.yaml": text})
    assert found[-1] == fault


def test_a_bomb_of_aliases_is_an_error(source: Path) -> None:
    bomb = "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))
    why = "aliases come to more than 16 MiB when they are written out; use fewer"
    assert load_faults(source, {"a.yaml": f"a0: &a0 x\n{bomb}"}) == [
        f"site/a.yaml:8: not YAML: {why}"
    ]


def test_a_conflict_that_git_left_in_a_document_is_an_error_at_its_line(source: Path) -> None:
    text = WEB + "<<<<<<< ours\nstatus: {}\n=======\n>>>>>>> theirs\n"
    line = WEB.count("\n") + 1
    assert load_faults(source, {"a.yaml": text}) == [
        f"site/a.yaml:{line}: not YAML: a merge conflict is left here; settle it"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nkind: {{ kind }}\n", "2: not YAML: a mapping or list as a key; is this a template"),
        (
            "a: 1\nb:\n- {? [a] : b}\n",
            "3: not YAML: a mapping or list as a key; is this a template",
        ),
        ("ä: 1\nb: \x01\n", "2: not YAML: control characters are not allowed"),
    ],
)
def test_what_the_parser_has_no_line_for_has_one(source: Path, text: str, fault: str) -> None:
    (found,) = load_faults(source, {"a.yaml": text})
    assert found.startswith(f"site/a.yaml:{fault}")


def test_a_file_that_is_meant_to_be_read_is_told_of(source: Path) -> None:
    found = load_files(source, {"web.YAML": WEB, ".hidden.YML": WEB})
    assert {} == found.services
    message = "site/web.YAML is not read: its name has to end in .yaml, .yml or .json"
    assert (message,) == found.notices


def test_a_folder_behind_a_link_is_told_of(source: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"a.yaml": WEB})
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    found = load_files(source, {})
    assert {} == found.services
    assert ("site/linked is not read: it is a link to a folder",) == found.notices


def test_one_namespace_may_be_written_in_several_files(source: Path) -> None:
    shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n"
    assert ["shop"] == list(load_files(source, {"a.yaml": shop, "b.yaml": shop}).namespaces)
    (found,) = load_faults(source, {"b.yaml": shop.replace("team: a", "team: b")})
    assert found.endswith("Namespace/shop: metadata.name: already defined at site/a.yaml:1")


def test_an_empty_namespace_is_the_default_one(source: Path) -> None:
    text = WEB.replace("name: web", 'name: web, namespace: ""')
    assert [("default", "web")] == list(load_files(source, {"a.yaml": text}).services)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("{<<: {}, ports: []}", "merge keys (<<) are none of YAML 1.2's: write the fields out"),
        ("!own {ports: []}", "the tag !own means nothing here"),
    ],
)
def test_merge_keys_and_tags_are_called_so(source: Path, spec: str, fault: str) -> None:
    text = WEB.replace("{ports: [{port: 80}]}", spec)
    (found,) = load_faults(source, {"a.yaml": text})
    assert found.endswith(fault)


def test_what_is_long_is_cut_in_its_middle(source: Path) -> None:
    text = WEB.replace("port: 80", f"port: {'a' * 5000}")
    (fault,) = load_faults(source, {"a.yaml": text})
    assert fault.startswith("site/a.yaml:4: Service/default/web: spec.ports[0].port: expected a ")
    assert "aaa ... aaa" in fault
    assert len(fault) < 500


def test_files_with_byte_order_marks_can_be_put_together(source: Path) -> None:
    found = load_files(source, {"a.yaml": f"\ufeff# first\n---\n\ufeff{WEB}"})
    assert [("default", "web")] == list(found.services)


def test_a_file_that_is_not_utf_8_is_an_error_at_its_line(source: Path) -> None:
    (source / "a.yaml").write_bytes(b"# one\n# two\nname: caf\xe9\n")
    assert load_faults(source, {}) == ["site/a.yaml:3: not UTF-8: byte 0xe9"]


def test_a_file_that_is_too_large_is_an_error(source: Path) -> None:
    write(source, {"a.yaml": WEB})
    os.truncate(source / "a.yaml", (64 << 20) + 1)
    assert load_faults(source, {}) == [
        "site/a.yaml:1: the file has 67108865 bytes; a file has at most 64 MiB"
    ]


def test_a_link_to_nowhere_is_an_error(source: Path) -> None:
    (source / "a.yaml").symlink_to("gone.yaml")
    assert load_faults(source, {"site.yaml": SITE}) == [
        "site/a.yaml:1: cannot be read: No such file or directory"
    ]


def test_a_folder_that_cannot_be_read_is_an_error(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a source is never taken for the whole."""
    write(source, {"site.yaml": SITE, "secret/a.yaml": WEB})
    scandir = os.scandir

    def refuse(path: str) -> object:
        if "secret" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(tree.os, "scandir", refuse)  # type: ignore[attr-defined]
    with pytest.raises(SourceError) as caught:
        load(source)
    assert str(caught.value) == "site/secret: cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gone", "gone: the source does not exist"),
        ("site/a.yaml", "site/a.yaml: the source is not a directory"),
    ],
)
def test_a_source_that_is_no_directory_is_an_error(source: Path, path: str, text: str) -> None:
    write(source, {"a.yaml": WEB})
    with pytest.raises(SourceError) as caught:
        load(Path(path))
    assert str(caught.value) == text


def test_the_whole_file_system_is_no_source() -> None:
    with pytest.raises(SourceError, match="name the directory of the catalog"):
        load(Path("/"))


@pytest.mark.parametrize(
    "files", [{}, {"a.yaml": ""}, {"a.yaml": "# later\n---\n"}, {"a.txt": WEB}]
)
def test_an_empty_source_is_never_a_site_without_services(
    source: Path, files: dict[str, str]
) -> None:
    assert load_faults(source, files) == [
        "site: no documents; an empty source is an error, not a site without services"
    ]


def test_a_site_without_cluster_is_an_error(source: Path) -> None:
    assert load_faults(source, {"a.yaml": WEB}) == [
        "site: there is no Cluster document; one is needed"
    ]


def test_a_second_cluster_names_the_first(source: Path) -> None:
    other = SITE.split("---")[0].replace("lab", "other")
    assert load_faults(source, {"site.yaml": SITE, "sited.yaml": f"# mine\n{other}"}) == [
        "site/sited.yaml:3: Cluster/other: kind: a site has one Cluster, and site/site.yaml:1 is it"
    ]


def test_a_second_object_of_one_name_names_the_place_of_the_first(source: Path) -> None:
    text = f"{WEB}---\n{WEB}"
    assert load_faults(source, {"site.yaml": SITE, "a.yaml": text}) == [
        "site/a.yaml:8: Service/default/web: metadata.name: already defined at site/a.yaml:1"
    ]


def test_one_name_in_two_namespaces_is_two_objects(source: Path) -> None:
    text = f"{WEB}---\n{WEB.replace('{name: web}', '{name: web, namespace: shop}')}"
    assert list(load_files(source, {"a.yaml": text}).services) == [
        ("default", "web"),
        ("shop", "web"),
    ]


def test_all_faults_of_all_files_come_at_once_in_order(source: Path) -> None:
    bad = WEB.replace("port:", "prt:")
    text = f"{bad}---\na: [\n---\n{bad.replace('web', 'db')}"
    found = load_faults(source, {"b.yaml": "x: {", "a.yaml": text, "site.yaml": SITE})
    assert [fault.split(": ")[:2] for fault in found] == [
        ["site/a.yaml:4", "Service/default/web"],
        ["site/a.yaml:4", "Service/default/web"],
        ["site/a.yaml:6", "not YAML"],
        ["site/a.yaml:11", "Service/default/db"],
        ["site/a.yaml:11", "Service/default/db"],
        ["site/b.yaml:1", "not YAML"],
    ]


def test_faults_of_meaning_come_at_once_too(source: Path) -> None:
    text = """\
        apiVersion: v1
        kind: Service
        metadata: {name: Web}
        spec:
          ports:
          - port: 0
        ---
        apiVersion: groundplane/v1
        kind: Workload
        metadata: {name: web-1}
        spec:
          node: n2
        """
    assert faults(source, text) == [
        (
            'site/test.yaml:3: Service/default/Web: metadata.name: "Web" is not a DNS label: '
            "lower-case letters, digits and inner hyphens (RFC 1123)"
        ),
        "site/test.yaml:6: Service/default/Web: spec.ports[0].port: 0 is not a port: 1 to 65535",
        'site/test.yaml:12: Workload/default/web-1: spec.node: there is no Node "n2"',
    ]


def test_text_of_the_source_cannot_start_a_line_or_steer_a_terminal(source: Path) -> None:
    text = 'apiVersion: v1\nkind: Service\nmetadata: {name: "a\\nb\\e[31m"}\nspec: {x: 1}\n'
    assert load_faults(source, {"a.yaml": text}) == [
        r'site/a.yaml:4: Service/default/a\nb\x1b[31m: spec.x: unknown field "x"'
    ]


def test_the_order_of_files_does_not_matter(source: Path) -> None:
    found = read(source, WEB)
    (source / "test.yaml").rename(source / "a.yaml")
    assert load(source) == found


def test_what_is_no_regular_file_is_an_error(source: Path) -> None:
    write(source, {"site.yaml": SITE})
    (source / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(source / "pipe.yaml")
    with pytest.raises(CatalogError) as told:
        load(source)
    assert "site/pipe.yaml:1: no regular file\nsite/zero.yaml:1: no regular file" == str(told.value)


def test_of_many_faults_the_first_are_told_and_the_others_counted(source: Path) -> None:
    bad = "".join(
        f"- {{apiVersion: v1, kind: Service, metadata: {{name: s{n}}}, spec: {{ports: [{{}}]}}}}\n"
        for n in range(250)
    )
    found = load_faults(source, {"a.yaml": f"kind: List\nitems:\n{bad}"})
    assert ["and 150 more"] == found[100:]
    assert [f"site/a.yaml:{n + 3}" for n in range(100)] == [
        line.partition(": ")[0] for line in found[:100]
    ]


def test_every_second_object_in_a_list_names_the_line_of_the_first(source: Path) -> None:
    items = "- {apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {n: a}}}\n"
    items += items.replace("n: a", "n: b") * 2
    found = load_faults(source, {"a.yaml": f"kind: List\nitems:\n{items}"})
    assert [(n, "already defined at site/a.yaml:3") for n in (4, 5)] == [
        (int(line.split(":")[1]), line.rpartition("metadata.name: ")[2]) for line in found
    ]


@pytest.mark.parametrize(
    "bad",
    ["kind: Service\n---\n" * 12_000, "kind: List\nitems:\n" + "- {kind: Service}\n" * 12_000],
    ids=["documents", "items"],
)
def test_behind_ten_thousand_faults_nothing_is_read(source: Path, bad: str) -> None:
    """In memory, each costs a kilobyte and more."""
    found = load_faults(source, {"a.yaml": bad, "b.yaml": "kind: [\n"})
    assert ["and at least 9901 more"] == found[100:]


def test_behind_ten_thousand_documents_that_are_none_nothing_is_read(source: Path) -> None:
    found = load_faults(source, {"a.yaml": "kind: &a *a\n---\n" * 12_000})
    assert ["and at least 9901 more"] == found[100:]


def test_of_a_document_with_thousands_of_faults_the_first_are_told(source: Path) -> None:
    """Each number is looked up in the text for how it is written, in time of its own."""
    labels = "\n".join(f"  l{number}: 0x{number:x}" for number in range(20_000))
    text = f"apiVersion: v1\nkind: Namespace\nmetadata:\n name: a\n labels:\n{labels}\n"
    found = load_faults(source, {"a.yaml": text})
    assert "site/a.yaml:7: Namespace/a: metadata.labels.l1: expected text, got 0x1" in found[1]
    assert ["and at least 900 more"] == found[100:]
