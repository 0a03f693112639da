"""Zones that BIND does not load: rebuilt before it starts, and at the agent's request while it runs."""

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import dns.rcode
import pytest

from groundplane.dataplanes.dns import zone_file, zones_of
from groundplane.dataplanes.dns.asking import serials
from groundplane.dataplanes.dns.config import rebuild_script
from groundplane.dataplanes.dns.wire import later
from groundplane.errors import KernelRefused
from tests.kernel.named import PORT, Server
from tests.kernel.spaces import namespace
from tests.kernel.world import within
from tests.states import BASE, service, state
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

ZONE, WEB = "cluster.local", "web.default.svc.cluster.local"
STATES = [
    state(service("web", ["10.96.0.5"])),
    state(service("web", ["10.96.0.5"]), service("api", ["10.96.0.6"])),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with namespace("rebuilt") as netns:
        started = Server(netns, tmp_path_factory.mktemp("rebuilt"))
        try:
            yield started
        finally:
            started.stop()


@pytest.fixture
def stopped(server: Server) -> Iterator[Server]:
    """Yield a server that was killed, with a file of before and a journal of after."""
    server.rebuild()
    for each in reversed(STATES):
        server.apply(each)
    server.process.terminate()
    server.process.wait(20)
    journal(server).unlink()
    server.process = server.start()
    server.apply(STATES[1])
    server.stop()
    yield server
    if server.process.poll() is not None:
        server.process = server.start()


def file(server: Server) -> Path:
    return server.directory / f"{ZONE}.zone"


def journal(server: Server) -> Path:
    return server.journals / f"{ZONE}.jnl"


def restored(server: Server) -> None:
    """The file is one of before the journal began."""
    file(server).write_text(zone_file(ZONE, []))


def edited(server: Server) -> None:
    """Its serial is one of after the journal's end."""
    text = re.sub(r"(SOA[^\n]*?)\b\d+\s+7200", r"\1 5000 7200", file(server).read_text())
    file(server).write_text(zone_file(ZONE, [], 5000) if "5000" not in text else text)


def broken(server: Server) -> None:
    with file(server).open("a") as found:
        found.write("web 5 IN A 10.96.0.999\n")


def damaged(server: Server) -> None:
    journal(server).write_bytes(b"x" * 5000)


def foreign(server: Server) -> None:
    journal(server).write_bytes((server.journals / "0.96.10.in-addr.arpa.jnl").read_bytes())


def lost(server: Server) -> None:
    file(server).unlink()


DAMAGES = [restored, edited, broken, damaged, foreign, lost]


@pytest.mark.parametrize("damage", DAMAGES)
def test_zone_that_does_not_load_is_rebuilt_before_the_start(
    stopped: Server, tmp_path: Path, damage: Callable[[Server], None]
) -> None:
    damage(stopped)
    told = stopped.rebuild()
    assert [True] == [line.startswith(f"zone {ZONE}: ") for line in told.splitlines()]
    stopped.process = stopped.start()
    stopped.apply(STATES[0], tmp_path / "serials.json")
    assert "10.96.0.5" in stopped.ask(WEB, "A").to_text()
    assert 0 == stopped.apply(STATES[0])
    assert "" == stopped.rebuild()


def test_nothing_is_rebuilt_of_zones_that_load(stopped: Server) -> None:
    before = {path: path.read_bytes() for path in stopped.directory.rglob("*.*") if path.is_file()}
    assert "" == stopped.rebuild()
    assert before == {path: path.read_bytes() for path in before}
    stopped.process = stopped.start()
    assert 0 == stopped.apply(STATES[1])


@pytest.mark.parametrize("damage", DAMAGES)
def test_zone_that_is_not_loaded_is_rebuilt_at_the_agents_request(
    stopped: Server, tmp_path: Path, damage: Callable[[Server], None]
) -> None:
    serials = tmp_path / "serials.json"
    damage(stopped)
    stopped.process = stopped.start()
    assert dns.rcode.SERVFAIL == stopped.ask(WEB, "A").rcode()
    assert not stopped.request.exists()
    with pytest.raises(KernelRefused, match=f"^the DNS server gave no zone {ZONE}: SERVFAIL$"):
        stopped.apply(STATES[0], serials)
    assert stopped.request.exists()
    others = {zone: each for zone, each in _serials(stopped).items() if zone != ZONE}
    stopped.rebuild("--running")
    assert not stopped.request.exists()
    assert others.items() <= _serials(stopped).items()
    stopped.apply(STATES[0], serials)
    # BIND keeps for a second that it had no answer (servfail-ttl).
    until(lambda: "10.96.0.5" in stopped.ask(WEB, "A").to_text(), 2)


def test_serial_does_not_fall_when_a_zone_is_rebuilt(stopped: Server, tmp_path: Path) -> None:
    serials = tmp_path / "serials.json"
    stopped.process = stopped.start()
    stopped.apply(STATES[0], serials)
    before = _serials(stopped)[ZONE]
    stopped.stop()
    lost(stopped)
    stopped.rebuild()
    stopped.process = stopped.start()
    stopped.apply(STATES[0], serials)
    assert later(_serials(stopped)[ZONE], before)


def test_a_serial_that_fell_is_told_by_a_plan_and_raised_before_the_next_change(
    stopped: Server, tmp_path: Path
) -> None:
    serials = tmp_path / "serials.json"
    stopped.process = stopped.start()
    stopped.apply(STATES[0], serials)
    served = _serials(stopped)[ZONE]
    kept = json.loads(serials.read_bytes())
    serials.write_text(json.dumps(kept | {ZONE: served + 10_000}))
    plane, base = stopped.plane(serials=serials), STATES[0].base
    before = _serials(stopped), serials.read_bytes()
    told = within(stopped.netns, partial(plane.unprepared, base))
    assert [f"raise the serial {served} of {ZONE}"] == told
    within(stopped.netns, partial(plane.read, base))
    assert before == (_serials(stopped), serials.read_bytes())
    within(stopped.netns, partial(plane.prepare, base))
    assert later(_serials(stopped)[ZONE], served + 10_000)
    assert [] == within(stopped.netns, partial(plane.unprepared, base))


def test_zones_that_are_loaded_are_left_alone_while_the_server_runs(server: Server) -> None:
    server.rebuild()
    server.apply(STATES[1])
    before = _serials(server)
    start = time.monotonic()
    assert "" == server.rebuild("--running")
    assert time.monotonic() < start + PATIENCE * 5
    assert before == _serials(server)
    assert 0 == server.apply(STATES[1])


def _serials(server: Server) -> dict[str, int]:
    return within(server.netns, partial(serials, "127.0.0.1", PORT, zones_of(BASE)))


def test_a_link_that_the_server_put_there_leads_root_nowhere() -> None:
    """Its directory is its own: it might have the files of others written or given to it."""
    with tempfile.TemporaryDirectory() as name:
        root, secret = Path(name), Path(name, "secret")
        root.chmod(0o755)
        secret.write_text("root's own")
        secret.chmod(0o600)
        zones = root / "zones"
        zones.mkdir()
        shutil.chown(zones, "daemon", "daemon")
        for suffix in (".zone", ".zone.new", ".jnl"):
            (zones / f"{ZONE}{suffix}").symlink_to(secret)
        script = root / "rebuild"
        script.write_text(
            rebuild_script(BASE, directory=str(zones), journals=str(zones), user="daemon")
        )
        subprocess.run(["sh", str(script)], check=False, capture_output=True)
        assert "root's own" == secret.read_text()
        assert (0, 0o600) == (secret.stat().st_uid, secret.stat().st_mode & 0o777)
