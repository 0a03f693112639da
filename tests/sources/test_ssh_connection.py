"""One ssh connection for many looks, with a real sshd: how long it serves, and what ends it."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groundplane.sources import Source, Trust, source_of
from groundplane.sources.waits import WAITS, Waits
from tests.sources.conftest import SITE, fault, files, look
from tests.sources.repositories import Repository
from tests.sources.sshd import Sshd, key, running, sshd
from tests.waiting import until

pytestmark = pytest.mark.slow

# Looks once, and dies as one that is killed does.
LOOK_AND_DIE = """
import asyncio, os, sys
from pathlib import Path
from groundplane.sources import Trust, source_of
from groundplane.sources.waits import Waits
url, cache, key, known_hosts = sys.argv[1:]
trust = Trust(key=Path(key), known_hosts=Path(known_hosts))
waits = Waits(persist=5)  # longer than between a look and its fetch, on a busy machine too
asyncio.run(source_of(url, Path(cache), trust, waits).look())
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def served(ssh_server: Sshd, tmp_path: Path) -> Repository:
    made = Repository(ssh_server.directory / f"{tmp_path.name}.git")
    made.commit(SITE)
    return made


@pytest.fixture
def url(ssh_server: Sshd, served: Repository) -> str:
    return f"git+ssh://{ssh_server.place}/{served.path.name}"


@pytest.fixture
def trust(ssh_server: Sshd, tmp_path: Path) -> Trust:
    """Return files that a test may change."""
    own, known = tmp_path / "own key", tmp_path / "known"
    for there, here in ((ssh_server.trust.key, own), (ssh_server.trust.known_hosts, known)):
        assert there
        shutil.copy(there, here)
    return Trust(key=own, known_hosts=known)


@pytest.fixture
def waits() -> Waits:
    """Return the usual ones; a test that needs others is parametrized with them."""
    return WAITS


@pytest.fixture
def source(url: str, cache: Path, trust: Trust, waits: Waits) -> Iterator[Source]:
    yield source_of(url, cache, trust, waits)
    for pid in connections(cache):
        os.kill(pid, signal.SIGKILL)


def connections(cache: Path) -> list[int]:
    """Return the processes of ssh that keep a connection for *cache*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
            if title.startswith(b"ssh: ssh-") and (process / "cwd").readlink() == cache:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_looks_and_fetches_share_one(
    source: Source, served: Repository, ssh_server: Sshd, cache: Path
) -> None:
    before = ssh_server.logins
    found = look(source)
    assert found is look(source)
    served.commit(SITE | {"web.yaml": "kind: Service\n"})
    assert SITE | {"web.yaml": "kind: Service\n"} == files(look(source))
    assert (1, 1) == (ssh_server.logins - before, len(connections(cache)))


def test_nobody_else_may_use_it(source: Source, cache: Path) -> None:
    look(source)
    (socket,) = cache.glob("ssh-*")
    assert 0o600 == stat.S_IMODE(socket.stat().st_mode)


def test_one_that_the_server_ends_is_replaced_within_the_look(
    source: Source, ssh_server: Sshd, cache: Path
) -> None:
    found = look(source)
    ssh_server.signal(signal.SIGKILL)
    assert found is look(source)
    assert found is look(source)
    until(lambda: len(connections(cache)) == 1)


def test_one_whose_process_is_killed_is_replaced_within_the_look(
    source: Source, cache: Path
) -> None:
    found = look(source)
    (pid,) = connections(cache)
    os.kill(pid, signal.SIGKILL)
    assert found is look(source)
    until(lambda: pid not in connections(cache))
    until(lambda: len(connections(cache)) == 1)


@pytest.mark.parametrize("waits", [Waits(again=0.3)])
def test_one_that_hangs_is_replaced_within_the_look(
    source: Source, ssh_server: Sshd, cache: Path
) -> None:
    """As one does whose server is cut off, or was replaced without a word."""
    found = look(source)
    (hanging,) = connections(cache)
    ssh_server.signal(signal.SIGSTOP)
    try:
        assert found is look(source)
    finally:
        ssh_server.signal(signal.SIGCONT)
    until(lambda: hanging not in connections(cache))
    until(lambda: len(connections(cache)) == 1)


@pytest.mark.parametrize("waits", [Waits(persist=4, again=0.3, leaving=0.3)])
def test_one_whose_process_hangs_is_left_alone_and_ends_by_itself(
    source: Source, cache: Path
) -> None:
    found = look(source)
    (hanging,) = connections(cache)
    os.kill(hanging, signal.SIGSTOP)
    try:
        assert found is look(source)
    finally:
        os.kill(hanging, signal.SIGCONT)
    until(lambda: hanging not in connections(cache))
    assert found is look(source)


def test_it_ends_when_another_server_is_to_be_trusted(
    source: Source, trust: Trust, ssh_server: Sshd, cache: Path, tmp_path: Path
) -> None:
    look(source)
    assert trust.known_hosts
    trust.known_hosts.write_text(f"[127.0.0.1]:{ssh_server.port} {key(tmp_path / 'other')}\n")
    assert f"the server's key is not one in {trust.known_hosts}" == fault(source)
    until(lambda: not connections(cache))


def test_it_ends_when_another_key_is_to_be_used(
    source: Source, trust: Trust, cache: Path, tmp_path: Path
) -> None:
    look(source)
    assert trust.key
    key(tmp_path / "other")
    (tmp_path / "other").rename(trust.key)
    assert f"the server rejected the key {trust.key}" == fault(source)
    until(lambda: not connections(cache))


@pytest.mark.parametrize("name", ["own key", "known"])
def test_it_ends_when_a_file_of_trust_is_gone(
    source: Source, cache: Path, tmp_path: Path, name: str
) -> None:
    look(source)
    (tmp_path / name).unlink()
    assert fault(source).endswith(f"{name}: cannot be read: No such file or directory")
    until(lambda: not connections(cache))


@pytest.mark.parametrize("waits", [Waits(old=0.0)])
def test_it_is_replaced_when_it_is_old(source: Source, ssh_server: Sshd, cache: Path) -> None:
    """A server that takes our key back, or has another one itself, is believed then."""
    before = ssh_server.logins
    found = look(source)
    for _ in range(3):
        assert found is look(source)
    assert 4 == ssh_server.logins - before
    until(lambda: len(connections(cache)) == 1)


def test_a_server_that_comes_back_with_another_key_is_not_trusted(
    cache: Path, tmp_path: Path
) -> None:
    server = sshd(tmp_path)
    Repository(tmp_path / "site.git").commit(SITE)
    source = source_of(f"git+ssh://{server.place}/site.git", cache, server.trust)
    with running(server):
        look(source)
    for name in ("host", "host.pub"):
        (tmp_path / name).unlink()
    key(tmp_path / "host")
    with running(server):
        assert f"the server's key is not one in {server.trust.known_hosts}" == fault(source)
    until(lambda: not connections(cache))


def test_that_of_an_agent_that_was_killed_ends_by_itself(
    url: str, trust: Trust, ssh_server: Sshd, cache: Path
) -> None:
    before = ssh_server.logins
    command = [sys.executable, "-c", LOOK_AND_DIE, url, str(cache), str(trust.key)]
    subprocess.run([*command, str(trust.known_hosts)], check=False)
    assert 1 == ssh_server.logins - before  # to look, and to fetch
    until(lambda: not connections(cache))
    assert [] == [*cache.glob("ssh-*")]


def test_that_of_an_earlier_agent_is_not_used(
    source: Source, url: str, trust: Trust, ssh_server: Sshd, cache: Path
) -> None:
    look(source)
    (earlier,) = connections(cache)
    before = ssh_server.logins
    look(replaced := source_of(url, cache, replace(trust)))
    assert replaced.name == source.name
    assert 1 == ssh_server.logins - before
    until(lambda: earlier not in connections(cache))
    until(lambda: len(connections(cache)) == 1)
