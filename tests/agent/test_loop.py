"""The agent as a whole: how it starts, what it survives, how it reloads and stops."""

import asyncio
import os
import signal
from types import ModuleType

import pytest

from groundplane.agent import controller, source_watcher
from groundplane.agent.store import PREVIOUS_FILE, SITE_FILE, save_site
from tests.agent.fakes import Place, Plane, until


def test_sigterm_leaves_everything_in_place_and_a_second_start_adopts_it(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy and place.has_kept_a_site)

    for _ in range(2):
        place.run(plane, steps=steps)
    assert ({"10.96.0.5": "web"}, 1) == (plane.there, plane.writes)


def test_a_node_starts_without_its_source(place: Place) -> None:
    first, second = Plane(), Plane()

    async def good() -> None:
        await until(lambda: place.status.healthy and place.has_kept_a_site)

    async def source_gone() -> None:
        await until(lambda: "does not exist" in place.status.source_error)

    place.run(first, steps=good)
    place.source.rename(place.source.with_name("old"))
    place.run(second, steps=source_gone)
    assert first.there == second.there
    assert place.status.revision


def test_a_damaged_last_site_falls_back_to_the_one_before(place: Place) -> None:
    plane = Plane()

    async def good() -> None:
        await until(lambda: place.status.healthy and place.has_kept_a_site)

    async def source_gone() -> None:
        await until(lambda: place.status.source_error)

    place.run(plane, steps=good)
    save_site(place.state, b"the next one")
    (place.state / SITE_FILE).write_bytes(b"damaged")
    place.source.rename(place.source.with_name("old"))
    place.run(plane, steps=source_gone)
    assert ({"10.96.0.5": "web"}, 1) == (plane.there, plane.writes)


def test_a_damaged_last_site_is_written_again(place: Place) -> None:
    file = place.state / SITE_FILE

    async def good() -> None:
        await until(lambda: place.status.source_checked)

    place.run(Plane(), steps=good)
    kept = file.read_bytes()
    (place.state / PREVIOUS_FILE).write_bytes(kept)
    file.write_bytes(b"damaged")

    async def whole() -> None:
        await until(lambda: file.read_bytes() == kept)

    place.run(Plane(), steps=whole)


def test_a_site_that_cannot_be_used_at_all_does_not_stop_the_start(place: Place) -> None:
    save_site(place.state, b'{"format": 999}')
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy and place.has_kept_a_site)

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (source_watcher, "compile_in_child"),
        (controller, "decode"),
        (controller, "project_services"),
    ],
)
def test_what_nobody_thought_of_does_not_end_the_agent(
    place: Place, monkeypatch: pytest.MonkeyPatch, where: ModuleType, name: str
) -> None:
    plane = Plane()
    original = getattr(where, name)

    def fails(*_: object) -> object:
        raise LookupError("nobody thought of it")

    monkeypatch.setattr(where, name, fails)

    async def steps() -> None:
        await until(lambda: "LookupError: nobody" in place.status.source_error)
        monkeypatch.setattr(where, name, original)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.healthy and place.has_kept_a_site)

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there


def test_a_status_that_cannot_be_written_does_not_end_the_agent(place: Place) -> None:
    plane = Plane()
    place.runtime.rmdir()

    async def steps() -> None:
        await until(lambda: plane.there)
        place.runtime.mkdir()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.healthy and place.has_kept_a_site)

    place.run(plane, steps=steps)


def test_a_reload_repairs_what_others_changed(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: plane.there == {"10.96.0.5": "web"})
        await until(lambda: bool(place.status.source_checked))
        plane.there = {"10.96.0.9": "stranger"}
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: plane.there == {"10.96.0.5": "web"})

    place.run(plane, steps=steps)


def test_an_agent_that_is_told_to_stop_does_not_wait_for_the_compiler(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = []

    async def compile_for_ever(*_: object) -> bytes:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return b""

    monkeypatch.setattr(source_watcher, "compile_in_child", compile_for_ever)

    async def steps() -> None:
        await until(lambda: place.status.pid)

    place.run(Plane(), steps=steps)
    assert [True] == cancelled
