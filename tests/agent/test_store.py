"""The last good site on disk: what was written whole, or the one before it."""

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundplane.agent.store import (
    PREVIOUS_FILE,
    SITE_FILE,
    VERDICTS_FILE,
    load_site,
    load_verdicts,
    save_site,
    save_verdicts,
)
from groundplane.atomic import write_atomically
from groundplane.errors import StateError
from groundplane.site.compiled import FORMAT, Site
from groundplane.site.encoding import encode

ONE, TWO, THREE = (
    encode(Site(FORMAT, f"{n}.local", (), (), (), True, (), (), (), ())) for n in "123"
)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond 8 bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save_site(tmp_path, ONE)
    assert ONE == load_site(tmp_path)


def test_the_one_before_stays_beside_the_last(tmp_path: Path) -> None:
    save_site(tmp_path, ONE)
    save_site(tmp_path, TWO)
    (tmp_path / SITE_FILE).unlink()
    assert ONE == load_site(tmp_path)


def test_saving_the_same_again_keeps_the_one_before(tmp_path: Path) -> None:
    for each in (ONE, TWO, TWO, TWO):
        save_site(tmp_path, each)
    (tmp_path / SITE_FILE).unlink()
    assert ONE == load_site(tmp_path)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda raw: raw[:-1],
    "empty": lambda _: b"",
    "flipped": lambda raw: raw[:-2] + b"]\n",
    "zeroes": lambda raw: bytes(len(raw)),
    "longer": lambda raw: raw + b"\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_site_is_never_used(tmp_path: Path, damage: str) -> None:
    save_site(tmp_path, ONE)
    save_site(tmp_path, TWO)
    path = tmp_path / SITE_FILE
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert ONE == load_site(tmp_path)


def test_a_damaged_site_does_not_take_the_place_of_the_good_one_before(tmp_path: Path) -> None:
    save_site(tmp_path, ONE)
    save_site(tmp_path, TWO)
    (tmp_path / SITE_FILE).write_bytes(b"damaged")
    save_site(tmp_path, THREE)
    assert THREE == load_site(tmp_path)
    (tmp_path / SITE_FILE).write_bytes(b"damaged")
    assert ONE == load_site(tmp_path)


def test_without_any_good_site_both_reasons_are_told(tmp_path: Path) -> None:
    (tmp_path / PREVIOUS_FILE).write_bytes(b"damaged")
    with pytest.raises(StateError) as error:
        load_site(tmp_path)
    assert (
        f"{tmp_path}/site.snapshot: No such file or directory; "
        f"{tmp_path}/site.previous.snapshot: not a compiled site: it begins with b'damaged'"
    ) == str(error.value)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("content", [b"x" * 9, b"x" * 100_000])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError) as error:  # noqa: PT011 - its number is what counts
        write_atomically(path, content)
    assert errno.EFBIG == error.value.errno
    assert (b"old", ["file"]) == (path.read_bytes(), os.listdir(tmp_path))


def test_a_full_disk_loses_no_site(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    save_site(tmp_path, ONE)
    request.getfixturevalue("small_files")
    with pytest.raises(OSError, match="too large"):
        save_site(tmp_path, TWO)
    assert ONE == load_site(tmp_path)


def test_what_an_interrupted_write_left_does_not_disturb_the_next(tmp_path: Path) -> None:
    (tmp_path / ".site.snapshot.new").write_bytes(b"half")
    save_site(tmp_path, ONE)
    assert [SITE_FILE] == os.listdir(tmp_path)


def test_only_the_agent_and_its_group_may_read_what_is_kept(tmp_path: Path) -> None:
    """A site has the headers of probes; whatever the umask is."""
    save_site(tmp_path, ONE)
    save_site(tmp_path, TWO)
    save_verdicts(tmp_path, {("default", "web"): True})
    found = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    assert dict.fromkeys((SITE_FILE, PREVIOUS_FILE, VERDICTS_FILE), 0o640) == found


@pytest.mark.parametrize("content", [b"", b"[]", b'{"default/web": 1}', b"\xff"])
def test_damaged_verdicts_are_reported_and_count_as_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    assert {} == load_verdicts(tmp_path)
    assert [] == caplog.records
    (tmp_path / VERDICTS_FILE).write_bytes(content)
    assert {} == load_verdicts(tmp_path)
    (record,) = caplog.records
    assert record.getMessage().endswith("; every workload is probed before it counts")


def test_a_link_in_place_of_the_new_file_is_not_written_through(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"theirs")
    (tmp_path / ".file.new").symlink_to(other)
    write_atomically(tmp_path / "file", b"ours")
    assert (b"theirs", b"ours") == (other.read_bytes(), (tmp_path / "file").read_bytes())
    assert not (tmp_path / "file").is_symlink()
