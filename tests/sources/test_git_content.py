"""What comes of a commit: the files that the loader reads, and nothing that the repository asks for."""

import os
from pathlib import Path

import pytest

from groundplane.sources import export
from tests.sources.conftest import SITE, OverHttps, fault, files, look
from tests.sources.repositories import Repository
from tests.sources.web import Web

pytestmark = pytest.mark.slow

WEB = {"web.yaml": "kind: Service\n"}


def test_only_what_the_loader_reads_is_written(
    repository: Repository, over_https: OverHttps
) -> None:
    read = SITE | {"a/b/deep.yml": "a: 1\n", "a b.yaml": "b: 2\n", "empty.yaml": ""}
    unread = {
        "README.md": "x",
        "a/x.lock": "x",
        ".hidden.yaml": "x",
        ".ci/x.yaml": "x",
        "x.yam": "x",
    }
    repository.commit(read | unread)
    assert read == files(look(over_https()))


def test_what_an_ignore_file_names_is_not_written(
    repository: Repository, over_https: OverHttps
) -> None:
    """A link there stands for nothing that is read."""
    rules = {".groundplaneignore": "charts/\n", "web/.groundplaneignore": "values.yaml\n"}
    hidden = {"charts/a.yaml": "x", "web/values.yaml": "x"}
    repository.commit(SITE | rules | hidden, links={"charts/b.yaml": "a.yaml"})
    assert SITE | rules == files(look(over_https()))


def test_an_ignore_file_is_no_link(repository: Repository, over_https: OverHttps) -> None:
    repository.commit(SITE, links={".groundplaneignore": "rules"})
    assert "'.groundplaneignore' is a symbolic link" in fault(over_https())


def test_patterns_and_files_are_not_too_many(
    repository: Repository, over_https: OverHttps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_MATCHES", 3)
    repository.commit(SITE | {".groundplaneignore": "a\nb\n"})
    assert "2 patterns in .groundplaneignore are too many" in fault(over_https())


def test_a_directory_of_the_repository(repository: Repository, over_https: OverHttps) -> None:
    repository.commit({"other.yaml": "x", **{f"sites/lab/{name}": SITE[name] for name in SITE}})
    found = look(over_https("?path=sites/lab"))
    assert SITE == files(found)
    assert found.shown.endswith(f"/site.git?path=sites/lab@{found.revision[:12]}")


@pytest.mark.parametrize("path", ["none", "file", "link"])
def test_a_directory_that_is_not_there(
    repository: Repository, over_https: OverHttps, path: str
) -> None:
    repository.commit({"file": "x", "sites/site.yaml": "x"}, links={"link": "sites"})
    assert f"the repository has no directory {path}" == fault(over_https(f"?path={path}"))


@pytest.mark.parametrize("query", ["", "?path=docs"])
def test_no_yaml_is_never_a_site_without_services(
    repository: Repository, over_https: OverHttps, query: str
) -> None:
    repository.commit({"docs/README.md": "x", "docs/addresses.lock": "x"})
    expected = "no YAML file; an empty source is an error, not a site without services"
    assert expected == fault(over_https(query))


def test_what_cannot_be_used_is_not_fetched_again(
    repository: Repository, over_https: OverHttps, server: Web
) -> None:
    repository.commit({"README.md": "x"})
    source = over_https()
    fault(source)
    server.requests.clear()
    fault(source)
    assert not any("POST" in each or "service=" not in each for each in server.requests[1:-1])
    repository.commit(SITE)
    assert SITE == files(look(source))


def test_links_and_submodules_that_stand_for_no_yaml_are_ignored(
    repository: Repository, over_https: OverHttps
) -> None:
    commit = repository.commit(SITE)
    url = "ext::sh -c touch% /tmp/groundplane-ran"
    modules = f'[submodule "module"]\n\tpath = module\n\turl = "{url}"\n'
    links = {"etc": "/etc", ".hidden.yaml": "/etc/passwd"}
    files_ = SITE | {".gitmodules": modules}
    repository.commit(files_, links=links, modules={"module": commit})
    assert SITE == files(look(over_https()))


@pytest.mark.parametrize(
    ("links", "modules", "told"),
    [
        ({"passwd.yaml": "/etc/passwd"}, (), "'passwd.yaml' is a symbolic link"),
        ({"a/up.yaml": "../site.yaml"}, (), "'a/up.yaml' is a symbolic link"),
        ({"old.lock": "addresses.lock"}, (), "'old.lock' is a symbolic link"),
        ({}, ("module.yaml",), "'module.yaml' is a submodule"),
    ],
)
def test_one_that_stands_for_yaml_is_refused_and_changes_nothing(
    repository: Repository,
    over_https: OverHttps,
    links: dict[str, str],
    modules: tuple[str, ...],
    told: str,
) -> None:
    """In a directory a link that leads nowhere is an error, too: half a source is never the whole."""
    commit = repository.commit(SITE)
    source = over_https()
    found = look(source)
    repository.commit(SITE, links=links, modules=dict.fromkeys(modules, commit))
    why = "what it stands for would be missing, since only regular files are taken"
    assert f"{told}; {why}" == fault(source)
    assert SITE == files(found)
    repository.commit(SITE)
    assert SITE == files(look(source))


def test_no_filter_or_hook_is_run(
    repository: Repository, over_https: OverHttps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what the repository asks for, nor what whoever runs the agent has set up."""
    ran = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    (tmp_path / ".gitconfig").write_text(
        f'[filter "run"]\nsmudge = touch {ran}\nrequired = true\n[core]\nhooksPath = {hooks}\n'
        f'fsmonitor = touch {ran}\n[credential]\nhelper = "!touch {ran}"\n'
        f'[url "ext::touch {ran} "]\ninsteadOf = https://\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_TRACE", str(ran))
    attributes = "*.yaml filter=run text eol=crlf ident export-subst export-ignore\n"
    wanted = SITE | {"id.yaml": "a: $Id$ $Format:%H$\n"}
    repository.commit(wanted | {".gitattributes": attributes})
    assert wanted == files(look(over_https()))
    assert not ran.exists()


@pytest.mark.parametrize("name", [b"..", b".", b".git", b"../../out.yaml", b"/tmp/out.yaml"])
def test_a_tree_that_leaves_its_directory_is_refused(
    repository: Repository, over_https: OverHttps, name: bytes
) -> None:
    good = bytes.fromhex(repository.blob("x"))
    inner = repository.tree(b"100644 site.yaml\0" + good)
    entry = b"100644 " if name.endswith(b".yaml") else b"40000 "
    of = good if name.endswith(b".yaml") else bytes.fromhex(inner)
    repository.commit_tree(
        repository.tree(entry + name + b"\0" + of + b"100644 site.yaml\0" + good)
    )
    assert ": contains " in fault(over_https())


def test_two_entries_of_one_name_are_refused(repository: Repository, over_https: OverHttps) -> None:
    entry = b"100644 site.yaml\0" + bytes.fromhex(repository.blob("x"))
    repository.commit_tree(repository.tree(entry + entry))
    assert "duplicateEntries: contains duplicate file entries" in fault(over_https())


def test_more_files_than_a_catalog_has(
    repository: Repository, over_https: OverHttps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_FILES", 2)
    repository.commit(SITE | {"README.md": "x"})
    source = over_https()
    assert SITE == files(look(source))
    repository.commit(SITE | WEB)
    expected = "the catalog is too large; 2 files of 256 MiB are the limit"
    assert expected == fault(source)
    assert expected == fault(source)


def test_a_few_trees_that_are_very_many_files(
    repository: Repository, over_https: OverHttps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_ENTRIES", 10_000)
    tree = bytes.fromhex(repository.tree(b"100644 x\0" + bytes.fromhex(repository.blob("x"))))
    for _ in range(9):
        entries = (b"40000 %d\0" % number + tree for number in range(10))
        tree = bytes.fromhex(repository.tree(b"".join(entries)))
    repository.commit_tree(tree.hex())
    assert fault(over_https()).startswith("the catalog is too large; ")


def test_what_is_there_stays_when_the_next_commit_cannot_be_used(
    repository: Repository, over_https: OverHttps
) -> None:
    good = repository.commit(SITE)
    source = over_https()
    found = look(source)
    repository.commit({"README.md": "x"})
    fault(source)
    assert SITE == files(found)
    repository.git("update-ref", "refs/heads/main", good)
    assert found is look(source)


def test_the_newest_two_exports_are_kept(
    repository: Repository, over_https: OverHttps, cache: Path
) -> None:
    source = over_https()
    seen = []
    for number in range(4):
        repository.commit(SITE | {"n.yaml": f"n: {number}\n"})
        seen.append(look(source).directory)
    assert {*seen[-2:], cache / "repository.git"} == {*cache.iterdir()}


def test_a_change_costs_what_has_changed(
    repository: Repository, over_https: OverHttps, cache: Path
) -> None:
    large = {"large.yaml": os.urandom(1 << 20).hex()}
    first = repository.commit(SITE | large)
    source = over_https()
    look(source)
    repository.commit(SITE | WEB | large, parent=first)
    assert SITE | WEB | large == files(look(source))
    sizes = sorted(path.stat().st_size for path in cache.glob("repository.git/objects/pack/*.pack"))
    assert 2 == len(sizes)
    assert sizes[0] < 2000 < 1 << 20 < sizes[1]


def test_a_file_that_has_not_changed_is_linked_if_its_bytes_are_right(
    repository: Repository, over_https: OverHttps
) -> None:
    """An export is not written to; a disk that damages one must not damage the next."""
    before = {"site.yaml": "a: 1\n", "other.yaml": "b: 1\n", "third.yaml": "c: 1\n"}
    commit = repository.commit(before)
    source = over_https()
    first = look(source).directory
    assert first is not None
    (first / "third.yaml").write_text("c: 2\n")
    after = before | {"site.yaml": "a: 2\n"}
    repository.commit(after, parent=commit)
    found = look(source)
    assert after == files(found)
    assert found.directory is not None
    same = [(first / name).samefile(found.directory / name) for name in sorted(after)]
    assert [True, False, False] == same
