"""Servers that the tests of sources share, and the places that a source keeps things in."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundplane.errors import SourceError
from groundplane.sources import Content, Source, Trust, source_of
from groundplane.sources.waits import WAITS, Waits
from tests.sources.pki import Signed, authority, signed
from tests.sources.repositories import Repository
from tests.sources.sshd import Sshd, running, sshd
from tests.sources.web import Web, git_backend, web

OverHttps = Callable[..., Source]
SITE = {"site.yaml": "kind: Cluster\n", "addresses.lock": "Node/n1 10.244.0.0/24\n"}


def look(source: Source) -> Content:
    return asyncio.run(source.look())


def fault(source: Source) -> str:
    """Return the one line that is told of *source*, without its name where it begins with that."""
    with pytest.raises(SourceError) as error:
        look(source)
    text = str(error.value)
    assert [text] == text.splitlines()
    return text.removeprefix(f"{source.name}: ")


def files(content: Content) -> dict[str, str]:
    """Return what there is below the directory of *content*, whatever it is."""
    assert content.directory
    return {
        str(path.relative_to(content.directory)): path.read_text()
        for path in content.directory.rglob("*")
        if not path.is_dir()
    }


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return authority(tmp_path_factory.mktemp("ca"), "ca")


@pytest.fixture(scope="session")
def host(ca: Signed) -> Signed:
    """Return the certificate of the host 127.0.0.1."""
    return signed(ca, "host")


@pytest.fixture
def server(host: Signed) -> Iterator[Web]:
    with web(host) as server:
        yield server


@pytest.fixture
def trust(ca: Signed) -> Trust:
    return Trust(ca=ca.certificate)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def repository(tmp_path: Path, server: Web) -> Repository:
    """Return a repository that the server has as /site.git."""
    made = Repository(tmp_path / "served" / "site.git")
    server.answer = git_backend(made.path.parent)
    return made


@pytest.fixture
def over_https(server: Web, cache: Path, trust: Trust) -> OverHttps:
    """Return what makes a source of the served repository, with a query."""

    def source(query: str = "", waits: Waits = WAITS) -> Source:
        return source_of(f"git+https://{server.place}/site.git{query}", cache, trust, waits)

    return source


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running(sshd(tmp_path_factory.mktemp("sshd"))) as server:
        yield server
