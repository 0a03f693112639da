"""What a repository may cost, and what is left when an update was stopped half-way."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from groundplane.errors import SourceError
from groundplane.sources import Source, Trust, source_of
from groundplane.sources.waits import Waits
from tests.sources.conftest import SITE, OverHttps, fault, files, look
from tests.sources.repositories import Repository
from tests.sources.web import Handler, Web

pytestmark = pytest.mark.slow


def kept(cache: Path) -> list[str]:
    """Return what there is in *cache*, exports as their first letter in place of a hash."""
    return sorted("export" if len(path.name) == 40 else path.name for path in cache.iterdir())


@pytest.fixture
def small(repository: Repository, server: Web, cache: Path, trust: Trust) -> Source:
    """Return a source that may have half a megabyte."""
    url = f"git+https://{server.place}/site.git"
    return source_of(url, cache, replace(trust, max_bytes=1 << 19))


def test_a_large_file_that_cannot_be_packed_fills_no_disk(
    repository: Repository, small: Source, server: Web, cache: Path
) -> None:
    good = repository.commit(SITE)
    found = look(small)
    repository.commit(SITE | {"image.bin": os.urandom(4 << 20)})
    assert "what there is to fetch is larger than 524288 bytes" == fault(small)
    assert ["export"] == kept(cache)
    server.requests.clear()
    fault(small)
    assert not any(each.endswith("git-upload-pack") for each in server.requests[2:])
    repository.git("update-ref", "refs/heads/main", good)
    assert found is look(small)


def test_a_large_file_that_is_packed_to_nothing_is_not_written(
    repository: Repository, small: Source, cache: Path
) -> None:
    repository.commit(SITE | {"large.yaml": "a" * (4 << 20)})
    expected = "the catalog is too large; 200000 files of 524288 bytes are the limit"
    assert expected == fault(small)
    assert [] == kept(cache)
    repository.commit(SITE | {"large.bin": "a" * (4 << 20)})
    assert SITE == files(look(small))


def stops_when_it_is_fetched_from(
    server: Web, cache: Path, then: Callable[[], object]
) -> Callable[[Handler], None]:
    """Return what answers whoever looks, and does *then* when an update has begun."""
    serve = server.answer

    def answer(handler: Handler) -> None:
        if [*cache.glob(".work-*")]:
            then()
        else:
            serve(handler)

    return answer


def test_a_server_that_hangs_while_it_is_fetched_from(
    repository: Repository,
    over_https: OverHttps,
    server: Web,
    cache: Path,
) -> None:
    repository.commit(SITE)
    source, serve = over_https(waits=Waits(fetch=0.4)), server.answer
    server.answer = stops_when_it_is_fetched_from(server, cache, Event().wait)
    assert "no answer within 0.4 s" == fault(source)
    assert [] == kept(cache)
    server.answer = serve
    assert SITE == files(look(over_https()))


def test_an_agent_that_is_killed_while_it_fetches(
    repository: Repository, over_https: OverHttps, server: Web, cache: Path, trust: Trust
) -> None:
    repository.commit(SITE)
    look(over_https())
    repository.commit(SITE | {"web.yaml": "kind: Service\n"})
    serve, fetching = server.answer, Event()
    server.answer = stops_when_it_is_fetched_from(server, cache, fetching.set)
    script = (
        "import asyncio, sys; from pathlib import Path; "
        "from groundplane.sources import Trust, source_of; "
        "asyncio.run(source_of(sys.argv[1], Path(sys.argv[2]), Trust(ca=Path(sys.argv[3]))).look())"
    )
    url = f"git+https://{server.place}/site.git"
    command = [sys.executable, "-c", script, url, str(cache), str(trust.ca)]
    with subprocess.Popen(command) as agent:
        assert fetching.wait(10)
        agent.send_signal(signal.SIGKILL)
    assert [*cache.glob(".work-*")]
    server.answer = serve
    assert SITE | {"web.yaml": "kind: Service\n"} == files(look(over_https()))
    assert ["export", "export", "repository.git"] == kept(cache)


def test_a_look_that_is_not_waited_for_leaves_nothing(
    repository: Repository, over_https: OverHttps, server: Web, cache: Path
) -> None:
    repository.commit(SITE)
    source, serve = over_https(), server.answer
    fetching = Event()

    def stop() -> None:
        fetching.set()
        Event().wait()

    server.answer = stops_when_it_is_fetched_from(server, cache, stop)

    async def cancelled() -> None:
        looking = asyncio.create_task(source.look())
        await asyncio.to_thread(fetching.wait)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    asyncio.run(cancelled())
    assert [] == kept(cache)
    server.answer = serve
    assert SITE == files(look(source))


def spoil(pattern: str, content: str) -> Callable[[Path], object]:
    return lambda cache: next(cache.glob(pattern)).write_text(content)


NEXT = SITE | {"web.yaml": "kind: Service\n"}


@pytest.mark.parametrize(
    ("broken", "wanted"),
    [
        (spoil("repository.git/objects/pack/*.pack", "PACK"), SITE),
        (spoil("repository.git/objects/pack/*.pack", "PACK"), NEXT),
        (spoil("repository.git/objects/pack/*.idx", ""), SITE),
        (spoil("repository.git/config", "[core\n"), SITE),
        (spoil("repository.git/refs/groundplane/source", "x"), NEXT),
        (lambda cache: (cache / "repository.git/shallow.lock").write_text(""), NEXT),
        (lambda cache: (cache / "repository.git/HEAD").unlink(), SITE),
        (spoil("?" * 40 + "/site.yaml", "kind: Clu"), SITE),
        (lambda cache: (cache / ".work-left").mkdir(), NEXT),
    ],
)
def test_what_is_broken_in_the_cache_is_made_anew(
    repository: Repository,
    over_https: OverHttps,
    cache: Path,
    broken: Callable[[Path], object],
    wanted: dict[str, str],
) -> None:
    repository.commit(SITE)
    look(over_https())
    broken(cache)
    repository.commit(wanted)
    assert wanted == files(look(over_https()))
    assert ["export"] * (2 if wanted == NEXT else 1) + ["repository.git"] == kept(cache)


def test_an_export_that_someone_removes_comes_back(
    repository: Repository, over_https: OverHttps
) -> None:
    repository.commit(SITE)
    source = over_https()
    found = look(source)
    assert found.directory
    found.directory.rename(found.directory.with_name("moved"))
    assert SITE == files(look(source))


def test_a_cache_that_cannot_be_written(
    repository: Repository, over_https: OverHttps, cache: Path
) -> None:
    repository.commit(SITE)
    cache.write_text("")
    source = over_https()
    assert f"{cache}: File exists" == fault(source)
    cache.unlink()
    assert SITE == files(look(source))


def test_a_full_disk(repository: Repository, over_https: OverHttps, cache: Path) -> None:
    """A file system of 256 KiB; what is too much is a file of the catalog, then the fetch."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    cache.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(cache)]
    subprocess.run(mount, check=True)
    try:
        repository.commit(SITE)
        source = over_https()
        found = look(source)
        repository.commit(SITE | {"large.yaml": "a" * (1 << 20)})
        assert "No space left on device" in fault(source)
        repository.commit(SITE | {"large.yaml": os.urandom(1 << 20)})
        assert "No space left on device" in fault(source)
        assert SITE == files(found)
        repository.commit(SITE | {"web.yaml": "kind: Service\n"})
        assert SITE | {"web.yaml": "kind: Service\n"} == files(look(source))
    finally:
        subprocess.run(["umount", str(cache)], check=True)


def test_a_machine_without_git(
    over_https: OverHttps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed, and this source needs it" == fault(over_https())


def test_git_runs_in_an_environment_of_its_own(
    over_https: OverHttps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nenv >&2; echo SEEN: $SECRET; exit 1\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SECRET", "hidden")
    with pytest.raises(SourceError) as error:
        look(over_https())
    assert "hidden" not in str(error.value)
