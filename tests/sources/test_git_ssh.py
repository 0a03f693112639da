"""git+ssh, with a real sshd: who it takes, whom it trusts, and what is told when it does not."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groundplane.errors import SourceError
from groundplane.sources import Source, source_of
from groundplane.sources.waits import Waits
from tests.sources.conftest import SITE, fault, files, look
from tests.sources.repositories import Repository
from tests.sources.sshd import Sshd, key, running, sshd

pytestmark = pytest.mark.slow


@pytest.fixture
def served(ssh_server: Sshd, tmp_path: Path) -> Iterator[Repository]:
    """Return a repository below the server's directory, named like the test's."""
    yield Repository(ssh_server.directory / f"{tmp_path.name}.git")
    (ssh_server.directory / "before").unlink(missing_ok=True)


@pytest.fixture
def url(ssh_server: Sshd, served: Repository) -> str:
    return f"git+ssh://{ssh_server.place}/{served.path.name}"


@pytest.fixture
def source(ssh_server: Sshd, url: str, cache: Path) -> Source:
    return source_of(url, cache, ssh_server.trust)


def test_a_commit_comes_as_a_directory(source: Source, served: Repository, url: str) -> None:
    commit = served.commit(SITE)
    found = look(source)
    assert SITE == files(found)
    assert (commit, f"{url}@{commit[:12]}", None) == (found.revision, found.shown, found.snapshot)
    assert (url, None) == (source.name, source.watched)


def test_what_has_not_changed_is_the_same_object(source: Source, served: Repository) -> None:
    served.commit(SITE)
    assert look(source) is look(source)


def test_a_change_comes(source: Source, served: Repository) -> None:
    first = served.commit(SITE)
    before = look(source)
    served.commit(SITE | {"web.yaml": "kind: Service\n"}, parent=first)
    after = look(source)
    assert before.fingerprint != after.fingerprint
    assert SITE | {"web.yaml": "kind: Service\n"} == files(after)
    assert SITE == files(before)


def test_without_a_key_and_hosts_there_is_no_source(cache: Path, url: str) -> None:
    with pytest.raises(SourceError, match="git\\+ssh needs a private key, and a file with"):
        source_of(url, cache)


def test_a_key_that_the_server_does_not_know(
    ssh_server: Sshd, served: Repository, url: str, cache: Path, tmp_path: Path
) -> None:
    served.commit(SITE)
    key(tmp_path / "other")
    trust = replace(ssh_server.trust, key=tmp_path / "other")
    expected = f"the server rejected the key {tmp_path / 'other'}"
    assert expected == fault(source_of(url, cache, trust))


@pytest.mark.parametrize("text", ["", "[127.0.0.1]:{port} {other}\n"])
def test_a_server_that_is_not_the_one_that_is_known(
    ssh_server: Sshd, served: Repository, url: str, cache: Path, tmp_path: Path, text: str
) -> None:
    served.commit(SITE)
    hosts = tmp_path / "hosts"
    hosts.write_text(text.format(port=ssh_server.port, other=key(tmp_path / "other")))
    source = source_of(url, cache, replace(ssh_server.trust, known_hosts=hosts))
    assert f"the server's key is not one in {hosts}" == fault(source)


def test_a_file_of_trust_that_is_not_there(
    ssh_server: Sshd, url: str, cache: Path, tmp_path: Path
) -> None:
    source = source_of(url, cache, replace(ssh_server.trust, key=tmp_path / "none"))
    with pytest.raises(SourceError) as error:
        look(source)
    assert f"{tmp_path}/none: cannot be read: No such file or directory" == str(error.value)


def test_a_server_that_is_away_and_comes_back(cache: Path, tmp_path: Path) -> None:
    server = sshd(tmp_path)
    Repository(tmp_path / "site.git").commit(SITE)
    source = source_of(f"git+ssh://{server.place}/site.git", cache, server.trust)
    away = f"connect to host 127.0.0.1 port {server.port}: Connection refused"
    assert away == fault(source)
    with running(server):
        found = look(source)
        assert SITE == files(found)
    assert away == fault(source)
    with running(server):
        assert found is look(source)


def test_a_server_that_hangs(ssh_server: Sshd, cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"git@127.0.0.1:{silent.getsockname()[1]}"
        url = f"git+ssh://{place}/site.git"
        source = source_of(url, cache, ssh_server.trust, Waits(look=0.3))
        assert "no answer within 0.3 s" == fault(source)


def test_a_repository_that_is_not_there(ssh_server: Sshd, cache: Path) -> None:
    source = source_of(f"git+ssh://{ssh_server.place}/none.git", cache, ssh_server.trust)
    where = f"{ssh_server.directory}/none.git"
    assert f"'{where}' does not appear to be a git repository" == fault(source)
