"""Following the source: what it has is taken and kept, or refused and told."""

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from groundplane.agent import source_watcher
from groundplane.agent.source_watcher import SourceWatcher
from groundplane.agent.store import SITE_FILE, load_site, save_site
from groundplane.agent.timings import Timings
from groundplane.errors import SourceError
from tests.agent.fakes import FILES, LOCK, SECOND, Place, Plane, compile_here, until
from tests.catalogs import write


@pytest.mark.usefixtures("child")
def test_the_source_is_applied_and_kept(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy and (place.state / SITE_FILE).exists())

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there
    assert b"10.96.0.5" in load_site(place.state)
    assert (1, ["fake"]) == (place.status.services, [each.name for each in place.status.planes])


def test_a_change_of_the_source_is_noticed(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        write(place.source, {"addresses.lock": LOCK, "api.yaml": SECOND})
        await until(lambda: len(plane.there) == 2)
        (place.source / "api.yaml").unlink()
        write(place.source, {"addresses.lock": FILES["addresses.lock"] + "released/1 10.96.0.6\n"})
        await until(lambda: len(plane.there) == 1)

    place.run(plane, steps=steps)


def test_a_directory_that_is_swapped_by_renaming_is_noticed(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        fresh = place.source.with_name("fresh")
        fresh.mkdir()
        write(fresh, FILES | {"addresses.lock": LOCK, "api.yaml": SECOND})
        place.source.rename(place.source.with_name("old"))
        fresh.rename(place.source)
        await until(lambda: len(plane.there) == 2)

    place.run(plane, steps=steps)


BAD = {
    "no YAML": ("web.yaml", "kind: [\n", "web.yaml:1: not YAML"),
    "a fault": ("web.yaml", SECOND.replace("80", "0"), "web.yaml:4: Service/default/api: spec."),
    "no UTF-8 in the lock": ("addresses.lock", "\udcff", "addresses.lock:1: not UTF-8: byte 0xff"),
    "an outdated lock": ("addresses.lock", "", "run `groundplane allocate`"),
}


@pytest.mark.usefixtures("child")
@pytest.mark.parametrize("what", BAD)
def test_a_bad_source_keeps_the_last_good_one_and_says_why(place: Place, what: str) -> None:
    plane = Plane()
    name, text, expected = BAD[what]

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        (place.source / name).write_bytes(text.encode(errors="surrogateescape"))
        await until(lambda: expected in place.status.source_error)
        assert "Traceback" not in place.status.source_error
        assert {"10.96.0.5": "web"} == plane.there
        write(place.source, FILES)
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)
    assert 1 == plane.writes


def test_very_many_faults_are_one_event_however_often_the_source_is_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the status has is cut, and is the same the next time."""
    looks = []

    async def refuse(*_: object) -> bytes:
        looks.append(1)
        raise SourceError("site.yaml:1: Service/default/web: wrong\n" * 100_000)

    monkeypatch.setattr(source_watcher, "compile_in_child", refuse)
    place.timings = Timings(refused_source=0.0)

    async def steps() -> None:
        await until(lambda: len(looks) > 3)

    place.run(Plane(), steps=steps)
    told = [each for each in caplog.messages if each.startswith("Source: site.yaml:1: ")]
    assert 1 == len(told)
    assert 5_000 > len(told[0])


@pytest.mark.parametrize("how", ["gone", "empty", "a file"])
def test_a_source_that_is_none_is_never_no_services(place: Place, how: str) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        place.source.rename(place.source.with_name("old"))
        if how == "empty":
            place.source.mkdir()
        if how == "a file":
            place.source.write_text("")
        await until(lambda: place.status.source_error)

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there


def test_a_watch_that_fails_does_not_end_the_agent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> object:
        raise LookupError("no more watches")

    monkeypatch.setattr(source_watcher, "changes", fails)

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        write(place.source, {"addresses.lock": LOCK, "api.yaml": SECOND})
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.services == 2)

    place.run(Plane(), steps=steps)


def test_an_unknown_node_changes_nothing_and_says_which_is_near(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.source_error)

    place.run(plane, steps=steps, node="n11")
    expected = 'the site has no Node "n11"; did you mean "n1"?'
    assert (expected, {}) == (place.status.source_error, plane.there)


def test_a_site_that_cannot_be_kept_is_used_and_kept_as_soon_as_there_is_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the site in use is right, and the status says that it would not survive."""
    plane = Plane()

    def full(directory: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device", str(directory / SITE_FILE))

    monkeypatch.setattr(source_watcher, "save_site", full)

    async def steps() -> None:
        await until(lambda: place.status.store_error)
        assert f"{place.state}/site.snapshot: No space left on device" == place.status.store_error
        assert ("", False) == (place.status.source_error, place.status.healthy)
        assert {"10.96.0.5": "web"} == plane.there
        monkeypatch.setattr(source_watcher, "save_site", save_site)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)
    assert b"10.96.0.5" in load_site(place.state)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the sources that are compiled from now on, as they come."""
    compiled: list[Path] = []

    async def compile_and_count(source: Path, shown: str = "", *_: object) -> bytes:
        compiled.append(source)
        return await compile_here(source, shown)

    monkeypatch.setattr(source_watcher, "compile_in_child", compile_and_count)
    return compiled


def test_what_was_refused_is_not_compiled_at_every_look(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = counting(monkeypatch)
    (place.source / "web.yaml").write_text("kind: [\n")

    async def steps() -> None:
        await until(lambda: "web.yaml:1" in place.status.source_error)
        first = place.status.source_checked
        await until(lambda: place.status.source_checked > first + 0.5)  # two more looks
        assert [place.source] == compiled
        assert "web.yaml:1" in place.status.source_error
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(compiled) == 2)
        write(place.source, FILES)
        await until(lambda: place.status.healthy)
        assert 3 == len(compiled)

    place.run(Plane(), steps=steps)


def test_a_site_that_cannot_be_kept_is_not_compiled_again_for_that(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, tries = counting(monkeypatch), list[int]()

    def full(directory: Path, _: bytes) -> None:
        tries.append(1)
        raise OSError(28, "No space left on device", str(directory / SITE_FILE))

    monkeypatch.setattr(source_watcher, "save_site", full)

    async def steps() -> None:
        await until(lambda: len(tries) > 2)
        assert [place.source] == compiled
        monkeypatch.setattr(source_watcher, "save_site", save_site)
        await until(lambda: place.status.healthy)
        assert [place.source] == compiled

    place.run(Plane(), steps=steps)
    assert b"10.96.0.5" in load_site(place.state)


def test_however_often_it_is_poked_it_looks_once_a_second_and_loses_no_poke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []

    async def steps() -> None:
        unused: Any = None
        followed = SourceWatcher(
            unused, unused, unused, unused, poll_s=1000, timings=Timings(source_pause=0.2)
        )
        loop = asyncio.get_running_loop()

        async def look() -> None:
            looks.append(loop.time())

        monkeypatch.setattr(followed, "look", look)
        running = asyncio.create_task(followed.run())
        while len(looks) < 4:
            followed.poke()
            await asyncio.sleep(0.001)
        followed.poke()  # within the pause after the fourth
        await until(lambda: len(looks) == 5)
        running.cancel()

    asyncio.run(steps())
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(looks))
