"""The wheels of the agent: locked, hashed, complete, the same each time."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from groundplane_deploys import wheelhouse
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.wheelhouse import wheelhouse_for


def test_every_requirement_has_a_hash_and_a_wheel() -> None:
    found = wheelhouse_for("3.11", platform.machine())
    lines = (found.directory / "requirements.txt").read_text().replace("\\\n", "").splitlines()
    requirements = [line for line in lines if line and not line.lstrip().startswith("#")]
    wheels = {path.name.split("-")[0].lower() for path in found.directory.glob("*.whl")}
    assert all("--hash=sha256:" in line for line in requirements)
    wanted = {
        line.split("==")[0].replace("-", "_").lower() for line in requirements if ";" not in line
    }
    assert wanted <= wheels
    assert {"groundplane", "pip"} <= wheels


def test_what_only_the_deploys_need_is_not_among_them() -> None:
    found = wheelhouse_for("3.11", platform.machine())
    names = {path.name.split("-")[0].lower() for path in found.directory.glob("*.whl")}
    assert names.isdisjoint({"pyinfra", "paramiko", "pytest", "hypothesis", "mypy"})


def test_another_source_is_another_wheel(tmp_path: Path) -> None:
    def digest(python: str = "3.11") -> str:
        return wheelhouse._digest_of(wheelhouse._sources(tmp_path), python, "x86_64")

    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        (tmp_path / name).touch()
    source = tmp_path / "agent" / "groundplane" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("one")
    digests = [digest()]
    source.write_text("two")
    digests += [digest(), digest("3.13")]
    assert 3 == len(set(digests))


def test_a_second_call_finds_the_same() -> None:
    first = wheelhouse_for("3.11", platform.machine())
    wheelhouse_for.cache_clear()
    assert first.digest == wheelhouse_for("3.11", platform.machine()).digest


@pytest.mark.slow
def test_deploys_that_run_at_the_same_time_find_the_same() -> None:
    script = (
        "import sys; from groundplane_deploys.wheelhouse import wheelhouse_for; "
        "print(wheelhouse_for(*sys.argv[1:]).digest)"
    )
    command = [sys.executable, "-c", script, "3.11", platform.machine()]
    running = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) for _ in range(3)
    ]
    found = {each.communicate(timeout=120)[0] for each in running}
    assert [0, 0, 0] == [each.returncode for each in running]
    assert {f"{wheelhouse_for('3.11', platform.machine()).digest}\n"} == found
