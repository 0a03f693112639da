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
from groundplane.cli.source_cache import cache_of, kept_check
from groundplane.load import fingerprint_of
from tests.compile.edits import EDITS, OPERATIONS, Edits, lock, site, small_site, write


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return small_site(tmp_path)


def is_kept(directory: Path) -> bool:
    cache = cache_of(directory)
    assert cache is not None
    return kept_check(cache, directory, fingerprint_of(directory)) is not None


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
