"""Nothing that lies in the working directory runs as us: a root shell may stand in /tmp."""

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from groundplane.agent.compiler import compile_in_child
from groundplane.errors import SourceError
from groundplane.node.support_bundle import collect, commands_of_a_node
from groundplane.processes.own_command import own_command

ROOT = Path(__file__).parents[2]
PLANTED = ("asyncio", "click", "json", "pathlib", "pip", "sitecustomize", "subprocess", "venv")
PYTHON = re.compile(
    r"""(?:\bpython3 (?!python3)|/bin/python"\), "?|\bsys\.executable, "?)([^"\s,]+)"""
)
SAFE = ("-I", "-P")


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a directory of planted modules; return the file that each of them would write."""
    ran, planted = tmp_path / "ran", tmp_path / "planted"
    (planted / "groundplane").mkdir(parents=True)
    files = ["groundplane/__init__.py", "groundplane/__main__.py"]
    for name in (*files, *(f"{name}.py" for name in PLANTED)):
        (planted / name).write_text(f"open({str(ran)!r}, 'a').write(__file__ + '\\n')\n")
    monkeypatch.chdir(planted)
    return ran


def test_own_command_runs_nothing_of_the_working_directory(ran: Path) -> None:
    done = subprocess.run(own_command("--version"), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("groundplane")
    assert not ran.exists()


def test_the_compiler_runs_nothing_of_the_working_directory(ran: Path) -> None:
    with pytest.raises(SourceError, match="the source does not exist"):
        asyncio.run(compile_in_child(ran.parent / "nowhere"))
    assert not ran.exists()


def test_the_bundle_runs_nothing_of_the_working_directory(ran: Path) -> None:
    every = commands_of_a_node()
    ours = {name: each for name, each in every.items() if each[0] == "groundplane"}
    found = collect(ran.parent / "state", ran.parent / "run", ours)
    assert found["agent/status.json"].endswith(b"is the agent running?\n")
    assert not ran.exists()


def test_every_python_that_is_started_has_the_option() -> None:
    """`-P` or `-I`; Python before 3.11, which a host may have, knows the latter alone."""
    files = [
        path
        for tree in ("agent", "deploys", "templates")
        for path in (ROOT / tree).rglob("*")
        if path.is_file() and path.suffix in ("", ".j2", ".py", ".sh")
    ]
    found = {
        (str(path.relative_to(ROOT)), option)
        for path in files
        for option in PYTHON.findall(path.read_text())
    }
    assert set() == {(path, option) for path, option in found if option not in SAFE}
    assert {
        "agent/groundplane/cli/status.py",
        "agent/groundplane/processes/own_command.py",
        "deploys/controller.sh",
        "deploys/facts/files.py",
        "deploys/lab/bare.py",
        "deploys/lab/lifecycle.py",
        "deploys/lab/services.py",
        "deploys/operations/environment.py",
        "deploys/wheelhouse.py",
    } == {path for path, _ in found}
