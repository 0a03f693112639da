"""Looks over a connection that ssh keeps, which start no process of git or ssh."""

from pathlib import Path
from typing import Any

import pytest

from groundplane.sources import Source, git, source_of
from groundplane.sources.git_command import Git
from groundplane.sources.references import NotUnderstood
from tests.sources.conftest import SITE, look
from tests.sources.repositories import Repository
from tests.sources.sshd import Sshd, running, sshd

pytestmark = pytest.mark.slow

SETTINGS = {"the old protocol": "", "the new protocol": "AcceptEnv GIT_PROTOCOL\n"}


@pytest.fixture(params=SETTINGS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Sshd:
    made = sshd(tmp_path)
    with (tmp_path / "sshd_config").open("a") as file:
        file.write(SETTINGS[request.param])
    return made


@pytest.fixture
def repository(server: Sshd) -> Repository:
    return Repository(server.directory / "site.git")


@pytest.fixture
def source(server: Sshd, repository: Repository, cache: Path) -> Source:
    return source_of(
        f"git+ssh://{server.place}/{repository.path.name}?ref=live", cache, server.trust
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the commands of git that are run from now on."""
    found: list[str] = []
    run = Git.run

    async def noted(self: Git, *arguments: str, **options: Any) -> bytes:
        found.append(next(each for each in arguments if not each.startswith("-")))
        return await run(self, *arguments, **options)

    monkeypatch.setattr(Git, "run", noted)
    return found


def test_a_look_that_finds_nothing_new_runs_no_git(
    server: Sshd, source: Source, repository: Repository, runs: list[str]
) -> None:
    commit = repository.commit(SITE)
    repository.git("tag", "-a", "-m", "of", "live", commit)
    with running(server):
        found = look(source)
        assert (commit, "ls-remote") == (found.revision, runs[0])
        runs.clear()
        assert found is look(source)
        assert [] == runs
        following = repository.commit(SITE | {"web.yaml": "kind: Service\n"})
        repository.git("tag", "-f", "-a", "-m", "of", "live", following)
        assert following == look(source).revision
        assert ("fetch", 1) == (runs[0], server.logins)


def test_what_is_not_understood_is_asked_by_git_over_the_same_connection(
    server: Sshd,
    source: Source,
    repository: Repository,
    runs: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def strange(*_: object) -> dict[str, str]:
        raise NotUnderstood

    repository.commit(SITE, "refs/heads/live")
    monkeypatch.setattr(git, "references", strange)
    with running(server):
        found = look(source)
        runs.clear()
        assert found is look(source)
        monkeypatch.setattr(git, "references", None)  # a call would be a TypeError
        assert found is look(source)
        assert (["ls-remote", "ls-remote"], 1) == (runs, server.logins)


def test_a_server_that_takes_no_command_is_asked_by_git_over_a_new_connection(
    server: Sshd, source: Source, repository: Repository, runs: list[str]
) -> None:
    repository.commit(SITE, "refs/heads/live")
    with running(server):
        found = look(source)
        runs.clear()
        once = "[ -e asked ] || { touch asked; exit 1; }"
        (server.directory / "before").write_text(once)
        assert found is look(source)
        assert (["ls-remote"], 2) == (runs, server.logins)
