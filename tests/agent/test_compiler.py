"""The real child that compiles a source."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from groundplane.agent import compiler
from groundplane.agent.compiler import compile_in_child
from groundplane.agent.store import COMPILED_DIRECTORY, COMPILED_KEY
from groundplane.compile.pipeline import compile_source
from groundplane.errors import MAX_TEXT, SourceError
from groundplane.site.encoding import encode
from tests.catalogs import SITE, write
from tests.compile.edits import site, small_site
from tests.compile.edits import write as write_site

FIXED = {
    "site.yaml": SITE.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]"),
    "addresses.lock": "Node/n1 10.244.0.0/24\n",
}

KILLED = (
    "the compiler was killed: the machine has no memory left for it, or it did not end after 125 s of "
    "CPU time"
)


def fault(source: Path) -> str:
    with pytest.raises(SourceError) as error:
        asyncio.run(compile_in_child(source))
    return str(error.value)


def test_the_child_gives_what_the_pipeline_gives(source: Path) -> None:
    write(source, FIXED)
    encoded = asyncio.run(compile_in_child(source))
    assert encode(compile_source(source)) == encoded


def test_what_the_child_keeps_is_used_and_changes_nothing(tmp_path: Path) -> None:
    directory, state = small_site(tmp_path), tmp_path / "state"
    state.mkdir()
    for weight in (1, 2, 2, 3):
        files = site()
        files["sub/w-0.yaml"][0]["spec"]["weight"] = weight
        write_site(files, directory)
        encoded = asyncio.run(compile_in_child(directory, "", state))
        assert encode(compile_source(directory)) == encoded
    kept = state / COMPILED_DIRECTORY
    assert {"last"} < {each.name for each in kept.iterdir()}
    assert 0o600 == stat.S_IMODE((state / COMPILED_KEY).stat().st_mode)


@pytest.mark.parametrize("name", [COMPILED_DIRECTORY, COMPILED_KEY])
def test_where_nothing_can_be_kept_the_child_compiles_all_the_same(
    tmp_path: Path, name: str
) -> None:
    directory, state = small_site(tmp_path), tmp_path / "state"
    state.mkdir()
    (state / name).symlink_to("/nowhere/at/all")
    encoded = asyncio.run(compile_in_child(directory, "", state))
    assert encode(compile_source(directory)) == encoded


def test_every_fault_is_told_with_file_and_line(source: Path) -> None:
    write(source, FIXED | {"a.yaml": "kind: [\n", "b.yaml": "kind: Service\n"})
    first, second = fault(source).splitlines()
    assert first.startswith("site/a.yaml:1: not YAML: ")
    assert second.startswith("site/b.yaml:1: apiVersion and kind are required, as text")


def test_a_source_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert f"{tmp_path}/x: the source does not exist" == fault(tmp_path / "x")


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell *script* be the interpreter that the child is run with."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(path))


def test_the_child_gets_no_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    stand_in(tmp_path, monkeypatch, "env")
    output = asyncio.run(compile_in_child(tmp_path)).decode()
    assert "SECRET" not in output
    assert f"PATH={os.environ['PATH']}" in output.splitlines()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 3", "the compiler ended with 3"),
        ("kill -ABRT $$", "the compiler was ended by SIGABRT"),
        ("kill -KILL $$", KILLED),
    ],
)
def test_a_child_that_dies_in_silence_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: str
) -> None:
    stand_in(tmp_path, monkeypatch, script)
    assert f"{tmp_path}: {expected}" == fault(tmp_path)


def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "WALL_S", 0.2)
    stand_in(tmp_path, monkeypatch, "exec sleep 60")
    assert f"{tmp_path}: compiling timed out after 0.2 s" == fault(tmp_path)


def test_a_source_that_needs_too_much_memory_is_one_line(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is on the child: what the machine allows there, and as little as starts here."""
    values = ",".join(["{}"] * 5_000_000)
    write(source, FIXED | {"big.json": f'{{"apiVersion": "v1", "a": [{values}]}}'})
    stand_in(
        source.parent.absolute(),
        monkeypatch,
        f'exec {sys.executable} -c "import sys; from groundplane.processes import limits; '
        "limits.memory_limit = lambda: 300 << 20; sys.argv = sys.argv[3:]; "
        'import groundplane.cli; groundplane.cli.main(sys.argv[1:])" "$@"',
    )
    found = fault(source)
    why = "more memory is needed than the 300 MiB that it may have, while reading site/big.json"
    assert f"site: {why}" == found


def test_what_a_child_prints_without_end_is_neither_kept_nor_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "SITE_BYTES", 5 << 20)
    stand_in(tmp_path, monkeypatch, "exec yes")
    assert f"{tmp_path}: its compiled site has over 5 MiB" == fault(tmp_path)


def test_of_faults_without_number_the_first_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "yes site.yaml:1: wrong | head -c 20000000 >&2; exit 1")
    found = fault(tmp_path)
    assert MAX_TEXT + 100 > len(found)
    assert found.startswith("site.yaml:1: wrong\nsite.yaml:1: wrong\n")
    assert " more lines" in found.splitlines()[-1]
