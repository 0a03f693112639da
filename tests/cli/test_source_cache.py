"""A person's cache: commands say what they say without one, sooner."""

import os
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from groundplane.allocate import LOCK_NAME
from groundplane.cli import check as checking
from groundplane.cli.check import checked, examine
from groundplane.cli.source_cache import cache_of, inputs_of, kept_check
from groundplane.load import ReadFile
from tests.compile.edits import EDITS, OPERATIONS, Edits, lock, site, small_site, write


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return small_site(tmp_path)


def is_kept(directory: Path) -> bool:
    cache = cache_of(directory)
    assert cache is not None
    return kept_check(cache, inputs_of(directory)) is not None


@settings(max_examples=20)
@given(EDITS)
def test_a_check_says_what_it_says_without_a_cache(edits: list[tuple[str, int, int, bool]]) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        files = site()
        write(files, directory)
        lock(directory)
        for what, one, other, is_locked in [("the lock", 0, 0, False), *edits]:
            OPERATIONS[what](Edits(files, directory), one, other)
            write(deepcopy(files), directory)
            if is_locked:
                lock(directory)
            expected = examine(directory)[0]
            assert [expected] * 2 == [checked(directory), checked(directory)], what


def test_a_second_check_reads_no_document(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checked(directory)
    monkeypatch.setattr(checking, "examine", None)  # a call would be a TypeError
    assert first == checked(directory)


@pytest.mark.parametrize("name", [LOCK_NAME, "cluster.yaml", ".groundplaneignore", "new.yaml"])
def test_whatever_it_depends_on_may_change(directory: Path, name: str) -> None:
    checked(directory)
    assert is_kept(directory)
    with (directory / name).open("a") as file:
        file.write("# a comment\n")
    assert not is_kept(directory)


def test_the_memory_that_a_reader_may_have_is_one_of_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked(directory)
    monkeypatch.setattr("groundplane.cli.source_cache.memory_limit", lambda: 1)
    assert not is_kept(directory)


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_a_damaged_check_is_none(directory: Path, damage: bytes) -> None:
    checked(directory)
    for path in Path(os.environ["XDG_CACHE_HOME"]).rglob("check"):
        path.write_bytes(damage)
    assert not is_kept(directory)
    assert examine(directory)[0] == checked(directory)


def test_there_need_not_be_a_cache(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDPLANE_CACHE", "off")
    assert cache_of(directory) is None
    assert examine(directory)[0] == checked(directory)


@pytest.mark.parametrize("name", ["new.YAML", "w.yaml"])
def test_what_comes_while_it_runs_is_not_left_out(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The result of such a check is said, and not kept."""

    def examine_slowly(source: Path, read: ReadFile) -> object:
        found = examine(source, read)
        (source / name).write_text("# only a comment\n")
        return found

    monkeypatch.setattr(checking, "examine", examine_slowly)
    checked(directory)
    assert not is_kept(directory)


def test_a_file_that_was_another_one_only_meanwhile(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = directory / "a.yaml"
    content, before = path.read_bytes(), path.stat()

    def examine_another(source: Path, read: ReadFile) -> object:
        path.write_bytes(content.replace(b"targetPort", b"targetPart"))
        found = examine(source, read)
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return found

    monkeypatch.setattr(checking, "examine", examine_another)
    assert checked(directory).faults
    monkeypatch.undo()
    assert not is_kept(directory)
    assert not checked(directory).faults


def test_a_name_that_is_not_text_is_said_and_not_kept(directory: Path) -> None:
    Path(os.fsdecode(os.fsencode(directory) + b"/\xff.YAML")).touch()
    assert examine(directory)[0] == checked(directory)
    assert not is_kept(directory)
