"""A lab of its own with the example's site on it, deployed once for all tests here."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from groundplane.compile.pipeline import compile_source, read_catalog
from groundplane.site import compiled
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import Lab, down, preflight, ssh_config, up
from groundplane_deploys.lab.git import BRANCH, repository, start_git_server, wait_for_git_server
from groundplane_deploys.lab.model import GIT
from groundplane_deploys.lab.preflight import PreflightError
from groundplane_deploys.lab.repository import ensure_repository
from groundplane_deploys.lab.services import services
from groundplane_deploys.lab.site import lab_of
from tests.waiting import PATIENCE, until

PREFIX = os.environ.get("GROUNDPLANE_TEST_LAB", "gp-test")
CLIENT = Path(__file__).with_name("client.py").read_text()
CATALOG = "/etc/groundplane/catalog"
WEB = "web.default.svc.cluster.local"
EVERY_WEB = {"web-1", "web-2", "web-3"}


@dataclass(frozen=True)
class Deployed:
    """The deployed lab: run things on its nodes, and the project's commands against it."""

    lab: Lab
    source: Path  # the clone of the site's repository, or a directory that is put on the nodes
    group_data: str = ""  # a directory of it

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
            [*inside, *ssh], input=stdin, text=True, capture_output=True, timeout=PATIENCE * 60
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
            timeout=PATIENCE * 300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, *deploys: str) -> dict[str, Any]:
        """Run pyinfra; return what it did, as its --json says."""
        data = ["--group-data", self.group_data] if self.group_data else []
        output = self.run("pyinfra", "-y", "--json", *data, "inventories/lab.py", *deploys)
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

    def git(self, *arguments: str) -> str:
        """Run git in the clone; return what it prints."""
        done = subprocess.run(
            ["git", "-C", str(self.source), *arguments], text=True, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def commit(self, file: str, change: Callable[[str], str]) -> str:
        """Change *file* in the clone and commit it; return the commit."""
        path = self.source / file
        path.write_text(change(path.read_text()))
        self.git("commit", "--quiet", "--all", "--allow-empty", f"--message=change {file}")
        return self.git("rev-parse", "HEAD")

    def push(self, file: str, change: Callable[[str], str]) -> str:
        """Change *file* and push it; return the commit, which the nodes are about to use."""
        commit = self.commit(file, change)
        self.git("push", "--quiet", "-o", "accept-warnings")
        return commit

    def push_past_the_hook(self) -> None:
        """Bring the clone's commits to the repository as a server without our hook would."""
        bare = f"--git-dir={repository(self.lab)}"
        self.git(bare, "fetch", "--quiet", str(self.source), f"+{BRANCH}:{BRANCH}")

    def push_and_wait(self, file: str, change: Callable[[str], str], *nodes: str) -> float:
        """Push, and wait until the nodes, all by default, use it; return the seconds since."""
        commit = self.push(file, change)
        return self.wait_for_commit(commit, *nodes)

    def wait_for_commit(self, commit: str, *nodes: str) -> float:
        names = nodes or tuple(node.name for node in self.lab.nodes)
        return self.wait(lambda: all(self.uses(n, commit) for n in names), 10, f"{commit} in use")

    def uses(self, node: str, commit: str) -> bool:
        status = self.status(node)
        return bool(status["sourceRevision"] == commit and not status["sourceError"])

    def restore(self) -> None:
        """Push what the site was at first, unless it is so, and wait until every node uses it."""
        first = self.git("rev-list", "--max-parents=0", "HEAD")
        if self.git("diff", "--stat", first):
            self.git("read-tree", "--reset", "-u", first)
            self.git("commit", "--quiet", "--message=as it was")
        self.git("push", "--quiet", "--force")
        self.wait_for_commit(self.git("rev-parse", "HEAD"))

    def stop_git_server(self) -> None:
        services(PREFIX).stop([GIT])

    def start_git_server(self) -> None:
        start_git_server(self.lab, services(PREFIX))
        wait_for_git_server(self.lab, 15)

    def edit(self, node: str, file: str, change: Callable[[str], str]) -> None:
        """Change *file* of the node's catalog in place, atomically, as an editor does."""
        path = f"{CATALOG}/{file}"
        text = change(self.on(node, f"cat {shlex.quote(path)}"))
        new = f"{CATALOG}/.{file}.new"
        self.on(node, f"cat > {new} && mv {new} {shlex.quote(path)}", stdin=text)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait until *condition* holds; return the seconds it took."""
        return until(condition, seconds, what, every=0.1)


@pytest.fixture(scope="session")
def site() -> Iterator[Deployed]:
    try:
        preflight(Lab())
    except PreflightError as error:
        pytest.skip(f"no lab can be built here: {error}")
    example = ROOT / "examples" / "lab"
    os.environ["GROUNDPLANE_LAB"] = PREFIX
    lab = lab_of(read_catalog(example))
    del os.environ["GROUNDPLANE_LAB"]
    deployed = Deployed(lab, lab.clone_dir)
    try:
        up(lab)
        ensure_repository(lab, {path.name: path for path in example.iterdir() if path.is_file()})
        deployed.deploy("deploys/site.py", "examples/lab/workloads.py")
        yield deployed
    finally:
        down(lab)


@pytest.fixture
def with_data(site: Deployed, tmp_path: Path) -> Callable[[str], Deployed]:
    """Return the site as it is deployed with group data: lines of Python."""

    def deployed(lines: str) -> Deployed:
        (tmp_path / "lab.py").write_text(f"{lines}\n")
        return replace(site, group_data=str(tmp_path))

    return deployed
