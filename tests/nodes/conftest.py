"""A lab of its own with the example's site on it, deployed once for all tests here."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploys.catalog import ROOT
from deploys.lab import Lab, down, preflight, ssh_config, up
from deploys.lab.preflight import PreflightError
from deploys.lab.site import lab_of
from groundplane.model import compiled
from groundplane.pipeline import compile_source, read_catalog

PREFIX = "gp-test"
CLIENT = Path(__file__).with_name("client.py").read_text()
CATALOG = "/etc/groundplane/catalog"


@dataclass(frozen=True)
class Deployed:
    """The deployed lab: run things on its nodes, and the project's commands against it."""

    lab: Lab
    source: Path

    @property
    def services(self) -> tuple[compiled.Service, ...]:
        """The services as compiled, with their addresses."""
        return compile_source(self.source).services

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "GROUNDPLANE_LAB": PREFIX,
            "GROUNDPLANE_SOURCE": str(self.source),
            "INVENTORY": "inventories/lab.py",
        }

    def on(self, node: str, command: str, *, stdin: str = "", check: bool = True) -> str:
        """Return what *command* prints on *node*."""
        inside = ["ip", "netns", "exec", PREFIX]
        ssh = ["ssh", "-F", str(ssh_config(self.lab)), node, command]
        done = subprocess.run(
            [*inside, *ssh], input=stdin, text=True, capture_output=True, timeout=120
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *command: str) -> str:
        """Return the output of one of the project's own commands, run as the README says."""
        program = Path(sys.executable).with_name(command[0])
        done = subprocess.run(
            [str(program), *command[1:]],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, *deploys: str) -> dict[str, Any]:
        """Run pyinfra; return what it did, as its --json says."""
        output = self.run("pyinfra", "-y", "--json", "inventories/lab.py", *deploys)
        found: dict[str, Any] = json.loads(output)
        return found

    def connect(
        self, node: str, netns: str, host: str, port: int, *, count: int, concurrency: int = 20
    ) -> dict[str, int]:
        """Return who answered *count* connections from the workload *netns* ("": the node)."""
        inside = f"ip netns exec {netns} " if netns else ""
        command = f"{inside}python3 - {host} {port} {count} {concurrency}"
        counts: dict[str, int] = json.loads(self.on(node, command, stdin=CLIENT))
        return counts

    def status(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.on(node, "groundplane agent status -o json", check=False)
        )
        return found

    def edit(self, node: str, file: str, change: Callable[[str], str]) -> None:
        """Change *file* of the node's catalog in place, atomically, as an editor does."""
        path = f"{CATALOG}/{file}"
        text = change(self.on(node, f"cat {shlex.quote(path)}"))
        new = f"{CATALOG}/.{file}.new"
        self.on(node, f"cat > {new} && mv {new} {shlex.quote(path)}", stdin=text)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait until *condition* holds; return the seconds it took."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < seconds, f"not within {seconds} s: {what}"
            time.sleep(0.1)
        return time.monotonic() - start


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    try:
        preflight(Lab())
    except PreflightError as error:
        pytest.skip(f"no lab can be built here: {error}")
    source = tmp_path_factory.mktemp("site") / "catalog"
    shutil.copytree(ROOT / "examples" / "lab", source)
    os.environ["GROUNDPLANE_LAB"] = PREFIX
    lab = lab_of(read_catalog(source))
    del os.environ["GROUNDPLANE_LAB"]
    deployed = Deployed(lab, source)
    try:
        up(lab)
        deployed.deploy("deploys/site.py", "examples/lab/workloads.py")
        yield deployed
    finally:
        down(lab)
