"""Changes of files and directories, as the kernel tells of them."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from groundplane.agent import watching
from groundplane.agent.watching import changes


def told(path: Path, *steps: Callable[[], object]) -> None:
    """Take each of *steps*, and wait until it is told of."""

    async def watch() -> None:
        async with aclosing(changes(path)) as found:
            await anext(found)
            for step in steps:
                step()
                await asyncio.wait_for(anext(found), 10)

    asyncio.run(watch())


def count(path: Path, *steps: Callable[[], object]) -> int:
    """Take *steps*, one after the other; return how often was told of them."""

    async def watch() -> int:
        found = 0

        async def listen() -> None:
            nonlocal found
            async for _ in changes(path):
                found += 1

        listening = asyncio.create_task(listen())
        while not found:
            await asyncio.sleep(0.01)
        for step in steps:
            step()
            await asyncio.sleep(0.2)
        listening.cancel()
        return found - 1

    return asyncio.run(watch())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site" / "apps").mkdir(parents=True)
    return tmp_path / "site"


def test_what_is_below_a_directory_is_told(site: Path) -> None:
    file = site / "web.yaml"
    told(
        site,
        lambda: file.write_text("a"),
        lambda: file.write_text("b"),
        lambda: file.chmod(0o600),
        lambda: (site / "apps" / "api.yaml").write_text("a"),
        lambda: file.rename(site / "apps" / "web.yaml"),
        (site / "apps" / "web.yaml").unlink,
    )


def test_directories_that_come_are_looked_into(site: Path) -> None:
    new = site / "apps" / "new" / "newer"
    told(
        site,
        lambda: new.mkdir(parents=True),
        lambda: (new / "web.yaml").write_text("a"),
        lambda: new.rename(site / "moved"),
        lambda: (site / "moved" / "web.yaml").write_text("b"),
    )


def test_a_directory_that_is_swapped_by_renaming_is_told_and_watched(site: Path) -> None:
    fresh, old = site.with_name("fresh"), site.with_name("old")
    fresh.mkdir()
    told(
        site,
        lambda: (site.rename(old), fresh.rename(site)),
        lambda: (site / "web.yaml").write_text("a"),
    )
    swap_back = (lambda: (site.rename(fresh), old.rename(site)), (fresh / "a").touch)
    assert 1 == count(site, *swap_back)


def test_a_file_may_come_and_go(tmp_path: Path) -> None:
    file = tmp_path / "health.yaml"
    told(file, lambda: file.write_text("a"), file.unlink, lambda: file.write_text("b"))


def test_what_stands_beside_it_is_not_told(site: Path) -> None:
    beside = site.with_name("run")
    beside.mkdir()
    assert 0 == count(site, (beside / "status.json").touch, lambda: beside.chmod(0o700))


def test_hidden_directories_are_not_looked_into(site: Path) -> None:
    (site / ".git").mkdir()
    assert 0 == count(site, (site / ".git" / "index").touch)


def test_a_burst_is_told_once(site: Path) -> None:
    def burst() -> None:
        for number in range(100):
            (site / f"{number}.yaml").write_text("a")

    assert 1 == count(site, burst)


def test_without_a_parent_it_is_an_error(site: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        told(site / "gone" / "web.yaml")


def test_after_a_parent_was_taken_away_it_is_an_error(site: Path) -> None:
    with pytest.raises(FileNotFoundError, match="apps"):
        told(site / "apps" / "web.yaml", (site / "apps").rmdir)


def test_without_a_watch_left_it_is_an_error(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        @staticmethod
        def inotify_init1(_: int) -> int:
            return -1

    monkeypatch.setattr(watching, "_libc", Full())
    with pytest.raises(OSError, match="site"):
        told(site)
