"""What may happen to a cache changes how long compiling takes, and nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from groundplane.compile.cache import open_cache
from groundplane.compile.cached import compile_encoded
from groundplane.compile.pipeline import compile_source
from groundplane.site.encoding import encode
from tests.compile.edits import ours, site, small_site, write

COMPILE = [sys.executable, "-m", "groundplane", "compile"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return small_site(tmp_path)


def change(directory: Path, weight: int) -> None:
    """Give the first workload of namespace a another weight."""
    files = site()
    files["sub/w-0.yaml"][0]["spec"]["weight"] = weight
    write(files, directory)


def command(directory: Path) -> list[str]:
    root = directory.parent
    return [
        *COMPILE, "--cache", str(root / "cache"), "--cache-key", str(root / "state" / "key"),
        str(directory),
    ]  # fmt: skip


def is_right(directory: Path) -> bool:
    cache = ours(directory.parent)
    return compile_encoded(directory, cache) == encode(compile_source(directory))


def test_an_unchanged_source_and_a_changed_one(directory: Path) -> None:
    for weight in (1, 1, 2, 1):
        change(directory, weight)
        assert is_right(directory)


@pytest.mark.parametrize("at", [0, 31, 32, 100, -1])
def test_damaged_entries_are_none(directory: Path, at: int) -> None:
    assert is_right(directory)
    for entry in (directory.parent / "cache").iterdir():
        content = bytearray(entry.read_bytes())
        content[at] ^= 1
        entry.write_bytes(content)
    assert is_right(directory)
    change(directory, 5)
    assert is_right(directory)


@pytest.mark.parametrize("length", [0, 10, 32, 40])
def test_entries_that_are_cut_off_are_none(directory: Path, length: int) -> None:
    assert is_right(directory)
    for entry in (directory.parent / "cache").iterdir():
        entry.write_bytes(entry.read_bytes()[:length])
    change(directory, 5)
    assert is_right(directory)


def test_an_entry_under_the_name_of_another_is_none(directory: Path) -> None:
    """As if each file had the record of another, or the site were that of another source."""
    assert is_right(directory)
    entries = sorted((directory.parent / "cache").iterdir())
    contents = [entry.read_bytes() for entry in entries]
    for entry, content in zip(entries, contents[1:] + contents[:1], strict=True):
        entry.write_bytes(content)
    assert is_right(directory)


def test_a_cache_that_was_planted_is_not_used(directory: Path, tmp_path: Path) -> None:
    """Its entries are valid for who made them, with another key."""
    assert is_right(directory)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(directory, other / "site")
    change(other / "site", 77)
    assert is_right(other / "site")
    shutil.rmtree(tmp_path / "cache")
    shutil.copytree(other / "cache", tmp_path / "cache")
    shutil.copy(other / "cache" / "last", tmp_path / "cache" / "last")
    assert is_right(directory)


@pytest.mark.parametrize("name", ["cache", "state"])
def test_a_directory_that_others_may_write_is_not_used(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name).chmod(0o777)
    assert open_cache(tmp_path / "cache", tmp_path / "state" / "key") is None


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    assert open_cache(tmp_path / "cache", tmp_path / "state" / "key") is not None
    (tmp_path / "state" / "key").chmod(0o644)
    assert open_cache(tmp_path / "cache", tmp_path / "state" / "key") is None


@pytest.mark.parametrize("name", ["cache", "state"])
def test_no_place_for_a_cache_is_no_cache(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a file")
    assert open_cache(tmp_path / "cache", tmp_path / "state" / "key") is None


def test_an_entry_that_cannot_be_written_is_not_there(directory: Path) -> None:
    """A file may have a kilobyte, as on a full disk; what was there stays whole."""
    whole = subprocess.run(command(directory), stdout=subprocess.PIPE, check=True).stdout
    change(directory, 5)
    limited = ["prlimit", "--fsize=1024", *command(directory)]
    changed = subprocess.run(limited, stdout=subprocess.PIPE, check=True).stdout
    assert changed == encode(compile_source(directory)) != whole
    assert is_right(directory)


def test_a_directory_that_goes_while_it_is_used(directory: Path) -> None:
    cache = ours(directory.parent)
    shutil.rmtree(directory.parent / "cache")
    assert compile_encoded(directory, cache) == encode(compile_source(directory))


def test_times_of_files_say_nothing(directory: Path) -> None:
    """A file of the same size and times has another content; a clock goes back."""
    assert is_right(directory)
    before = (directory / "sub" / "w-0.yaml").stat()
    change(directory, 5)
    os.utime(directory / "sub" / "w-0.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert is_right(directory)
    change(directory, 6)
    for path in (directory / "sub").iterdir():
        os.utime(path, (0, 0))
    assert is_right(directory)


def test_two_compiles_at_once(directory: Path) -> None:
    for weight in range(3, 8):
        change(directory, weight)
        expected = encode(compile_source(directory))
        running = [subprocess.Popen(command(directory), stdout=subprocess.PIPE) for _ in range(3)]
        assert [expected] * 3 == [each.communicate()[0] for each in running]
    assert is_right(directory)


def test_a_compile_that_is_killed(directory: Path) -> None:
    assert is_right(directory)
    for turn in range(12):
        change(directory, 10 + turn)
        with subprocess.Popen(command(directory), stdout=subprocess.DEVNULL) as running:
            time.sleep(0.08 + turn / 100)
            running.send_signal(signal.SIGKILL)
        assert is_right(directory)


def test_a_file_that_is_replaced_while_it_is_read(directory: Path) -> None:
    """The result is that of one of the contents, and the next one is not misled."""
    contents, results = [], set()
    path = directory / "sub" / "w-0.yaml"
    for weight in (1, 2, 3):
        change(directory, weight)
        contents.append(path.read_bytes())
        results.add(encode(compile_source(directory)))
    ended = threading.Event()

    def replace() -> None:
        turn = 0
        while not ended.is_set():
            new = path.with_name("new")
            new.write_bytes(contents[turn % 3])
            new.replace(path)
            turn += 1

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        found = [compile_encoded(directory, ours(directory.parent)) for _ in range(40)]
    finally:
        ended.set()
        thread.join()
    assert {*found} <= results
    assert is_right(directory)


def test_files_of_others_stay(directory: Path, tmp_path: Path) -> None:
    """Somebody may take any directory for a cache."""
    mine = {tmp_path / "cache" / name: name for name in (".bashrc", "thesis.tex", "a" * 63)}
    (tmp_path / "cache" / "folder").mkdir(parents=True)
    for path, text in mine.items():
        path.write_text(text)
    for weight in (1, 2, 3):
        change(directory, weight)
        assert is_right(directory)
    assert mine == {path: path.read_text() for path in mine}
    records = [each for each in (tmp_path / "cache").iterdir() if len(each.name) == 64]
    assert 5 == len(records)


def test_a_link_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    assert open_cache(tmp_path / "cache", tmp_path / "state" / "key") is None


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_key_that_was_cut_off_is_made_again(directory: Path, content: bytes) -> None:
    assert is_right(directory)
    (directory.parent / "state" / "key").write_bytes(content)
    assert is_right(directory)
    assert 32 == len((directory.parent / "state" / "key").read_bytes())
