"""Keeping dataplanes as declared: what was refused is tried again, what others change is repaired."""

import asyncio

import pytest

from groundplane.dataplanes import Drift
from groundplane.errors import KernelRefused
from tests.agent.fakes import Place, Plane, until


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (KernelRefused("the map is full"), "the map is full"),
        (KeyError("RTA_DST"), "KeyError: 'RTA_DST'"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_plane_that_fails_is_tried_again_and_the_others_go_on(
    place: Place, failure: Exception, told: str
) -> None:
    broken, after = Plane("broken"), Plane("after")
    broken.fails = failure

    async def steps() -> None:
        await until(lambda: broken.tries > 1 and place.status.planes[0].error)
        error, none = (plane.error for plane in place.status.planes)
        assert told in error
        assert ("", {"10.96.0.5": "web"}) == (none, after.there)
        broken.fails = None
        await until(lambda: place.status.healthy)

    place.run(broken, after, steps=steps)
    assert {"10.96.0.5": "web"} == broken.there
    assert 1 == after.writes


def test_a_plane_is_tried_again_while_the_source_is_bad(place: Place) -> None:
    plane = Plane()
    plane.fails = KernelRefused("full")

    async def steps() -> None:
        await until(lambda: plane.tries)
        (place.source / "web.yaml").write_text("kind: [\n")
        await until(lambda: "web.yaml:1" in place.status.source_error)
        plane.fails = None
        await until(lambda: plane.there)

    place.run(plane, steps=steps)


def test_what_others_changed_is_repaired_by_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = Plane()
    plane.resync_interval_s = 0.1

    async def steps() -> None:
        await until(lambda: plane.there == {"10.96.0.5": "web"})
        plane.there = {"10.96.0.9": "stranger"}
        await until(lambda: plane.there == {"10.96.0.5": "web"})
        writes = plane.writes
        await asyncio.sleep(0.5)
        assert writes == plane.writes

    place.run(plane, steps=steps)


def test_a_plane_that_needed_no_change_is_as_declared_since_its_last_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = Plane()
    plane.resync_interval_s = 0.1
    plane.drift = lambda _base: Drift()  # type: ignore[method-assign]

    async def steps() -> None:
        await until(lambda: place.status.planes[0].changed == 1)
        since, looked = place.status.planes[0].since, place.status.source_checked
        await until(lambda: place.status.source_checked > looked + 0.3)
        assert (since, 1) == (place.status.planes[0].since, place.status.planes[0].changed)

    place.run(plane, steps=steps)
