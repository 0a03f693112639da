"""The agent's loop: real files, and dataplanes in memory.

What the compiling child does is done in this process, which saves most of the time; a few tests
use the child itself, and test_compiler.py is about it.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from groundplane.agent import convergence, following, health_checks, keeping
from groundplane.agent.compiler import compile_in_child
from groundplane.agent.loop import Agent, Settings
from groundplane.agent.status import Status, read_status
from groundplane.agent.store import PREVIOUS_FILE, SITE_FILE, load_site, save_site
from groundplane.diff import Delta, patch
from groundplane.errors import GroundplaneError, KernelRefused, SourceError
from groundplane.pipeline import compile_source
from groundplane.project.state import NodeBase, NodeWorkloads, Part, VirtualService
from groundplane.snapshot import encode
from groundplane.sources.directory import DirectorySource
from tests.catalogs import WITHOUT_DNS, write

FILES = {
    "site.yaml": WITHOUT_DNS.replace(
        "[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]"
    ),
    "web.yaml": """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.5, ports: [{port: 80}]}
""",
    "addresses.lock": "Node/n1 10.244.0.0/24\nService/default/web 10.96.0.5\n",
}
SECOND = FILES["web.yaml"].replace("web", "api").replace(".0.5", ".0.6")
LOCK = FILES["addresses.lock"] + "Service/default/api 10.96.0.6\n"


class Plane:
    """Holds what it is told; *fails* is raised by its next writes."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.patience_s = 10.0
        self.there: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self.fails: Exception | None = None
        self.writes = 0
        self.tries = 0

    def context(self, _base: NodeBase) -> None:
        return None

    def listen(self) -> int | None:
        return None

    def culprit(self) -> str:
        return ""

    def text(self, key: str, value: str) -> str:
        return f"{key} {value}"

    def render(self, _base: NodeBase, part: Part) -> Mapping[str, str]:
        return (
            dict.fromkeys(part.cluster_ips, part.name) if isinstance(part, VirtualService) else {}
        )

    def prepare(self, _base: NodeBase) -> None:
        pass

    def read(self, _base: NodeBase) -> Mapping[str, str]:
        return dict(self.there)

    def write(self, _base: NodeBase, delta: Delta[str, str]) -> None:
        self.tries += 1
        if self.fails:
            raise self.fails
        self.writes += 1
        self.there = self.written = patch(self.there, delta)

    def disturbed(self, _base: NodeBase) -> bool:
        return self.there != self.written

    def close(self) -> None:
        pass


class Place:
    """The directories of one agent, and what it says about itself."""

    def __init__(self, root: Path) -> None:
        self.source, self.state, self.runtime = root / "etc/site", root / "state", root / "run"
        self.health = root / "etc" / "health.yaml"
        for each in (self.source, self.state, self.runtime):
            each.mkdir(parents=True)
        write(self.source, FILES)

    @property
    def status(self) -> Status:
        return read_status(self.runtime)

    def run(self, *planes: Plane, steps: Callable[[], Any], node: str = "n1") -> None:
        """Run an agent until the coroutine *steps* is done, then tell it to stop."""

        async def live() -> None:
            source = DirectorySource(self.source)
            settings = Settings(node, source, self.health, self.state, self.runtime, 0.2)
            running = asyncio.create_task(Agent(settings, [planes]).run())
            try:
                await asyncio.wait_for(steps(), 10)
                assert not running.done(), "the agent ended by itself"
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait_for(running, 10)

        asyncio.run(live())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(keeping, "_RETRY_S", (0.1, 0.1, 0.1))
    monkeypatch.setattr(following, "compile_in_child", compile_here)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    return Place(tmp_path)


async def compile_here(source: Path, _shown: str = "") -> bytes:
    try:
        return encode(compile_source(source))
    except GroundplaneError as error:
        raise SourceError(str(error)) from None


@pytest.fixture
def child(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile in the child, as the agent does."""
    monkeypatch.setattr(following, "compile_in_child", compile_in_child)


async def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds; files that are not there yet make it false."""
    while True:
        try:
            if condition():
                return
        except Exception:  # noqa: S110, BLE001
            pass
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("child")
def test_the_source_is_applied_and_kept(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there
    assert b"10.96.0.5" in load_site(place.state)
    assert (1, ["fake"]) == (place.status.services, [each.name for each in place.status.planes])


def test_sigterm_leaves_everything_in_place_and_a_second_start_adopts_it(place: Place) -> None:
    plane = Plane()

    async def steps() -> None:
        await until(lambda: place.status.healthy)

    for _ in range(2):
        place.run(plane, steps=steps)
    assert ({"10.96.0.5": "web"}, 1) == (plane.there, plane.writes)


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


def test_a_node_starts_without_its_source(place: Place) -> None:
    first, second = Plane(), Plane()

    async def good() -> None:
        await until(lambda: place.status.healthy)

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
        await until(lambda: place.status.healthy)

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
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there


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


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (following, "compile_in_child"),
        (convergence, "decode"),
        (convergence, "project_services"),
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
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web"} == plane.there


def test_a_watch_that_fails_does_not_end_the_agent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> object:
        raise LookupError("no more watches")

    monkeypatch.setattr(following, "awatch", fails)

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

    monkeypatch.setattr(following, "save_site", full)

    async def steps() -> None:
        await until(lambda: place.status.store_error)
        assert f"{place.state}/site.snapshot: No space left on device" == place.status.store_error
        assert ("", False) == (place.status.source_error, place.status.healthy)
        assert {"10.96.0.5": "web"} == plane.there
        monkeypatch.setattr(following, "save_site", save_site)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)
    assert b"10.96.0.5" in load_site(place.state)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the sources that are compiled from now on, as they come."""
    compiled: list[Path] = []

    async def compile_and_count(source: Path, shown: str = "") -> bytes:
        compiled.append(source)
        return await compile_here(source, shown)

    monkeypatch.setattr(following, "compile_in_child", compile_and_count)
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

    monkeypatch.setattr(following, "save_site", full)

    async def steps() -> None:
        await until(lambda: len(tries) > 2)
        assert [place.source] == compiled
        monkeypatch.setattr(following, "save_site", save_site)
        await until(lambda: place.status.healthy)
        assert [place.source] == compiled

    place.run(Plane(), steps=steps)
    assert b"10.96.0.5" in load_site(place.state)


def test_a_status_that_cannot_be_written_does_not_end_the_agent(place: Place) -> None:
    plane = Plane()
    place.runtime.rmdir()

    async def steps() -> None:
        await until(lambda: plane.there)
        place.runtime.mkdir()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.healthy)

    place.run(plane, steps=steps)


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
        monkeypatch.setattr(following, "compile_in_child", None)  # a call would be a TypeError
        place.health.write_text("default/a: false\n")
        await until(lambda: plane.there == {"web": "0"})
        assert "" == place.status.source_error

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

    async def compile_for_ever(_source: Path, _shown: str = "") -> bytes:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return b""

    monkeypatch.setattr(following, "compile_in_child", compile_for_ever)

    async def steps() -> None:
        await until(lambda: place.status.pid)

    place.run(Plane(), steps=steps)
    assert [True] == cancelled


def test_what_others_changed_is_repaired_by_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = Plane()
    plane.patience_s = 0.1

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
    plane.patience_s = 0.1
    plane.disturbed = lambda _base: True  # type: ignore[method-assign]

    async def steps() -> None:
        await until(lambda: place.status.planes[0].changed == 1)
        since, looked = place.status.planes[0].since, place.status.source_checked
        await until(lambda: place.status.source_checked > looked + 0.3)
        assert (since, 1) == (place.status.planes[0].since, place.status.planes[0].changed)

    place.run(plane, steps=steps)


# ------------------------------------------------------------------------------------------------


class Rendering(Plane):
    """Remembers the names of the parts that it rendered."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: list[str] = []

    def render(self, base: NodeBase, part: Part) -> Mapping[str, str]:
        if not isinstance(part, NodeWorkloads):
            self.rendered.append(part.name)
        return super().render(base, part)


def test_a_change_of_the_source_brings_only_the_services_concerned(place: Place) -> None:
    plane = Rendering()
    later = FILES["web.yaml"].replace("web", "later").replace(".0.5", ".0.7")
    lock = LOCK + "Service/default/later 10.96.0.7\n"

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        assert ["n1", "web"] == plane.rendered
        plane.rendered.clear()
        write(place.source, {"addresses.lock": lock, "api.yaml": SECOND, "later.yaml": later})
        await until(lambda: place.status.services == 3)
        assert ["api", "later"] == sorted(plane.rendered)
        plane.rendered.clear()
        write(place.source, {"api.yaml": SECOND.replace("80", "81")})
        await until(lambda: len(plane.rendered) > 1)
        assert ["api", "api"] == plane.rendered  # as it was, and as it is

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web", "10.96.0.6": "api", "10.96.0.7": "later"} == plane.there


def balanced(port: int) -> dict[str, str]:
    """Return files in which web is a load balancer that is to be asked for its health on *port*."""
    spec = (
        f"{{type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: {port}, "
        "allocateLoadBalancerNodePorts: false, clusterIP"
    )
    return {
        "web.yaml": FILES["web.yaml"].replace("{clusterIP", spec),
        "addresses.lock": f"{FILES['addresses.lock']}HealthCheck/default/web {port}\n",
    }


def test_a_health_check_port_that_cannot_be_opened_is_told_and_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's address is none of this machine's; loopback stands for it."""
    bound = health_checks._bound
    monkeypatch.setattr(health_checks, "_bound", lambda _, port: bound("127.0.0.1", port))
    taken = next(found for port in range(31000, 32000) if (found := try_to_take(port)))
    port = taken.getsockname()[1]
    write(place.source, balanced(port))

    async def steps() -> None:
        told = f"health check node port {port} of Service/default/web: 192.0.2.1: "
        await until(lambda: place.status.health_check_errors)
        assert (told + "Address already in use",) == place.status.health_check_errors
        assert ("", False) == (place.status.source_error, place.status.healthy)
        taken.close()
        await until(lambda: place.status.healthy)
        assert b"503 Service Unavailable" in await answer(port)
        write(place.source, FILES)  # no load balancer any more
        await until(lambda: place.status.revision and not served(port))

    with taken:
        place.run(Plane(), steps=steps)
    assert not served(port)


def try_to_take(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def served(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def answer(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    found = await reader.read()
    writer.close()
    return found


def test_a_dataplane_that_is_behind_fails_the_health_checks(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer outside goes on to a node whose rules are as declared."""
    bound, plane = health_checks._bound, Plane()
    monkeypatch.setattr(health_checks, "_bound", lambda _, port: bound("127.0.0.1", port))
    with next(f for port in range(31000, 32000) if (f := try_to_take(port))) as found:
        port = found.getsockname()[1]
    write(place.source, balanced(port))

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        assert b'"serviceProxyHealthy": true' in await answer(port)
        plane.fails, plane.there = KernelRefused("no room"), {}
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: place.status.planes[0].error)
        assert b'"serviceProxyHealthy": false' in await answer(port)

    place.run(plane, steps=steps)
