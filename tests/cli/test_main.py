"""What every command has in common: exit status, one line an error, data apart from the rest."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from groundplane import __version__
from groundplane.cli import _COMMANDS
from groundplane.load import objects
from tests.catalogs import write
from tests.cli.run import FILES, Command, Done


def test_help_lists_every_command(groundplane: Command) -> None:
    done = groundplane("--help")
    assert (0, "") == (done.status, done.err)
    assert [] == [name for name in _COMMANDS if f"\n  {name} " not in done.out]


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_help(groundplane: Command, name: str) -> None:
    assert 0 == groundplane(name, "--help").status


def test_the_version(groundplane: Command) -> None:
    assert __version__ in groundplane("--version").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gte"], "No such command 'gte'"),
        (["get"], "Missing argument 'KIND'"),
        (["get", "servces"], "is not one of"),
        (["get", "services", "-o", "xml"], "is not one of"),
        (["get", "services", "a", "b"], "at most one NAME and one SOURCE"),
        (["get", "services", "./a", "./b"], "at most one NAME and one SOURCE"),
        (["describe", "service"], "a service's NAME is needed"),
        (["render"], "Missing option"),
        (["completion", "csh"], "is not one of"),
        (["schema", "Servce"], 'unknown kind "Servce"; did you mean "Service"?'),
        (["agent", "run"], "Missing option '--node'"),
        (["netns", "up"], "Missing"),
        (["check", "--wrong"], "No such option"),
    ],
)
def test_a_usage_error_is_1_and_on_standard_error(
    groundplane: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.delenv("GROUNDPLANE_NODE", raising=False)
    done = groundplane(*arguments)
    assert (1, "") == (done.status, done.out)
    assert told in done.err


READERS = [
    ["check"],
    ["compile"],
    ["allocate"],
    ["get", "services"],
    ["describe", "service", "web"],
    ["render", "--node", "n1", "-o", "out"],
]


def one_line(done: Done) -> str:
    assert (1, "") == (done.status, done.out)
    (line,) = done.err.splitlines()
    return line


@pytest.mark.parametrize("command", READERS, ids=lambda each: each[0])
def test_a_source_that_is_none_is_one_line(
    groundplane: Command, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    told = [one_line(groundplane(*command, source)) for source in ("nowhere/x", "./file")]
    assert ["nowhere/x: the source does not exist", "file: the source is not a directory"] == [
        line.removeprefix("error: ") for line in told
    ]


@pytest.mark.parametrize("command", READERS, ids=lambda each: each[0])
def test_a_lock_that_is_no_text_is_a_fault_with_its_line(
    groundplane: Command, site: Path, command: list[str]
) -> None:
    (site / "addresses.lock").write_bytes(b"# comment\nNode/n1 \xff\n")
    done = groundplane(*command, "./site")
    assert 1 == done.status
    told = (done.out + done.err).splitlines()[0]
    assert "site/addresses.lock:2: not UTF-8: byte 0xff" == told


LOCKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (Path.mkdir, "no regular file"),
    "a FIFO": (os.mkfifo, "no regular file"),
    "a link that leads nowhere": (
        lambda path: path.symlink_to("nowhere"),
        "cannot be read: No such file or directory",
    ),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_that_is_no_file_is_one_line(groundplane: Command, site: Path, lock: str) -> None:
    make, message = LOCKS[lock]
    (site / "addresses.lock").unlink()
    make(site / "addresses.lock")
    for command in ("check", "allocate"):
        done = groundplane(command, "./site")
        assert f"error: site/addresses.lock: {message}" == one_line(done)


HEALTH = {
    "not YAML": (b"a: [", "health:1: not YAML: "),
    "not UTF-8": (b"\xff", "health: not UTF-8: invalid start byte"),
    "a list": (b"[a]", "health: a mapping of NAMESPACE/NAME to true or false is needed"),
    "no namespace": (b"a: true", "health: a: a mapping of NAMESPACE/NAME"),
    "no boolean": (b"default/a: 'no'", "health: default/a: a mapping of NAMESPACE/NAME"),
}


@pytest.mark.parametrize("what", HEALTH)
@pytest.mark.parametrize("command", READERS[3:], ids=lambda each: each[0])
def test_a_health_file_that_is_none_is_told(
    groundplane: Command, site: Path, command: list[str], what: str
) -> None:
    content, told = HEALTH[what]
    Path("health").write_bytes(content)
    done = groundplane(*command, "--health", "health", "./site")
    assert (1, "") == (done.status, done.out)
    assert done.err.startswith(f"error: {told}")


@pytest.mark.parametrize("command", READERS[3:], ids=lambda each: each[0])
def test_a_health_file_that_is_a_directory_is_told(
    groundplane: Command, site: Path, command: list[str]
) -> None:
    done = groundplane(*command, "--health", "site", "./site")
    assert 1 == done.status
    assert "'site' is a directory" in done.err


def test_a_file_that_cannot_be_written_is_one_line(groundplane: Command, site: Path) -> None:
    Path("out").mkdir()
    Path("out/named.conf").mkdir()
    done = groundplane("render", "--node", "n1", "-o", "out", "./site")
    assert "error: out/named.conf: Is a directory" == one_line(done)


def test_what_needs_too_much_memory_is_one_line(
    groundplane: Command, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr("groundplane.compile.pipeline.load", fails)
    said = one_line(groundplane("check", "./site"))
    assert said.startswith("error: more memory is needed than the ")


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_a_closed_pipe_is_no_error_to_talk_about(site: Path, output: str) -> None:
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "groundplane", "get", "services", "-o", output, "./site"],
        stdout=written,
        stderr=subprocess.PIPE,
        cwd=site.parent,
    )
    os.close(written)
    assert (1, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize("command", [["get", "services", "-o", "json"], ["compile"]])
def test_a_full_disk_is_one_line(site: Path, command: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "groundplane", *command, "./site"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (1, "error: No space left on device\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "command",
    [
        ["check", "site"],
        ["allocate", "site"],
        ["get", "services", "./site"],
        ["describe", "service", "web", "./site"],
        ["inventory", "site"],
        ["render", "--node", "n1", "-o", "out", "site"],
        ["status", "site"],
    ],
)
def test_whoever_reads_a_catalog_is_limited_as_the_agents_compiler_is(
    groundplane: Command, source: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """The first file that is read takes too long; what was being done is named."""

    def spend(*_: object) -> NoReturn:
        signal.raise_signal(signal.SIGXCPU)
        pytest.fail("it is not limited")

    write(source, FILES)
    monkeypatch.setattr(objects, "items_in", spend)
    done = groundplane(*command)
    why = "error: over 120 s of CPU time are needed, while reading site/site.yaml\n"
    assert (1, "", why) == done
