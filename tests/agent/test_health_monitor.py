"""Judging workloads: what the health file says is brought, and nothing else."""

from collections.abc import Mapping

import pytest

from groundplane.agent import health_monitor, source_watcher
from groundplane.agent.timings import Timings
from groundplane.project.state import NodeBase, Part, VirtualService
from tests.agent.fakes import FILES, Place, Plane, until
from tests.catalogs import write

WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {name: a, labels: {app: web}}
spec: {node: n1, addresses: [10.244.0.9]}
"""
SELECTED = {
    "web.yaml": FILES["web.yaml"].replace("{clusterIP", "{selector: {app: web}, clusterIP"),
    "a.yaml": WORKLOAD,
    "addresses.lock": FILES["addresses.lock"] + "Workload/default/a 10.244.0.9\n",
}


class Targets(Plane):
    """Holds how many targets each service has."""

    def render(self, _base: NodeBase, part: Part) -> Mapping[str, str]:
        if not isinstance(part, VirtualService):
            return {}
        return {part.name: str(len(part.ports[0].ipv4.cluster))}


def test_a_workload_that_the_health_file_says_fails_is_an_endpoint_no_more(place: Place) -> None:
    plane = Targets()
    write(place.source, SELECTED)

    async def steps() -> None:
        await until(lambda: plane.there == {"web": "1"})
        place.health.write_text("default/a: false\n")
        await until(lambda: plane.there == {"web": "0"})
        place.health.write_text("default/a: maybe\n")
        await until(lambda: bool(place.status.health_error))
        assert {"web": "0"} == plane.there
        place.health.unlink()
        await until(lambda: plane.there == {"web": "1"} and place.status.healthy)

    place.run(plane, steps=steps)


def test_a_change_of_health_does_not_compile_the_source(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = Targets()
    write(place.source, SELECTED)

    async def steps() -> None:
        await until(lambda: plane.there == {"web": "1"})
        await until(lambda: bool(place.status.source_checked))
        monkeypatch.setattr(source_watcher, "compile_in_child", None)  # a call would be a TypeError
        place.health.write_text("default/a: false\n")
        await until(lambda: plane.there == {"web": "0"})
        assert "" == place.status.source_error

    place.run(plane, steps=steps)


def test_a_watch_error_is_logged_once_for_each_reason(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = ["gone", "gone", "gone", "no more watches", "no more watches", *["gone"] * 5]

    def fails(*_: object, **__: object) -> object:
        raise OSError(left.pop(0) if left else "gone")

    monkeypatch.setattr(health_monitor, "changes", fails)
    place.timings = Timings(watch_retry=0.01)

    async def steps() -> None:
        await until(lambda: not left)

    place.run(Plane(), steps=steps)
    told = [each.getMessage() for each in caplog.records if each.name == health_monitor.__name__]
    expected = (
        f"cannot watch {place.health.parent}: {why}" for why in ("gone", "no more watches", "gone")
    )
    assert [*expected] == told
