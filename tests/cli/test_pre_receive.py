"""The hook of a repository that nodes follow, in a real repository with a real push."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.run import FILES, LOCK, SITE

pytestmark = pytest.mark.slow

HOOK = f"#!/bin/sh\nexec {Path(sys.executable).with_name('groundplane')} pre-receive"
GOOD = {**FILES, "site.yaml": SITE.replace("selector: {app: db}, ", "")}


class Clone:
    """A clone of a repository with the hook."""

    def __init__(self, directory: Path, options: str = "") -> None:
        self.bare, self.place = directory / "site.git", directory / "clone"
        self._git("init", "--quiet", "--bare", "-b", "main", str(self.bare))
        self._git("init", "--quiet", "-b", "main", str(self.place))
        self.git("config", "user.name", "T")
        self.git("config", "user.email", "t@example.org")
        self.git("remote", "add", "origin", str(self.bare))
        self._git(f"--git-dir={self.bare}", "config", "receive.advertisePushOptions", "true")
        hook = self.bare / "hooks/pre-receive"
        hook.write_text(f"{HOOK} {options}\n")
        hook.chmod(0o755)

    @staticmethod
    def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *arguments], text=True, capture_output=True)

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._git("-C", str(self.place), *arguments)

    def push(self, files: Mapping[str, str], *options: str, ref: str = "main") -> tuple[bool, str]:
        """Push a commit of *files*; return whether it was accepted, and what the hook printed."""
        for path in self.place.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, text in files.items():
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change")
        done = self.git("push", "--quiet", *options, "origin", f"HEAD:{ref}")
        said = [line.removeprefix("remote: ").rstrip() for line in done.stderr.splitlines()]
        return done.returncode == 0, "\n".join(said)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_catalog_that_nodes_can_use_is_accepted(clone: Clone) -> None:
    assert (True, "") == clone.push(GOOD)
    web = GOOD["site.yaml"].replace("port: 80,", "port: 81,")
    assert (True, "") == clone.push({**GOOD, "site.yaml": web})


def test_a_fault_is_told_with_file_and_line_and_refuses_the_push(clone: Clone) -> None:
    bad = GOOD["site.yaml"].replace("port: 80,", "port: 0,")
    accepted, said = clone.push({**GOOD, "site.yaml": bad})
    assert not accepted
    assert (
        "site.yaml:27: Service/default/web: spec.ports[0].port: 0 is not a port: 1 to 65535" in said
    )
    assert "error: nodes would refuse " in said
    assert "main stays as it is" in said


def test_a_lock_that_would_change_refuses_the_push(clone: Clone) -> None:
    accepted, said = clone.push({**GOOD, "addresses.lock": LOCK.replace("10.96.0.5", "10.96.0.6")})
    assert not accepted
    assert "run `groundplane allocate`, and commit what it writes" in said


def test_a_warning_refuses_the_push_that_does_not_accept_it(clone: Clone) -> None:
    accepted, said = clone.push(FILES)
    assert not accepted
    assert "warning: Service/orders/db: spec.selector: selector matches no Workload" in said
    assert "error: 1 warning; git push -o accept-warnings accepts it all" in said
    assert clone.push(FILES, "-o", "accept-warnings")[0]


def test_skipped_documents_refuse_the_push_that_does_not_accept_them(clone: Clone) -> None:
    files = {**GOOD, "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"}
    assert not clone.push(files)[0]
    assert clone.push(files, "-o", "accept-skipped")[0]


def test_a_change_beyond_the_limits_refuses_the_push(clone: Clone) -> None:
    more = "".join(
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\n"
        "spec: {clusterIP: None, ports: [{port: 80}]}\n"
        for n in range(12)
    )
    assert (True, "") == clone.push({**GOOD, "more.yaml": more})
    accepted, said = clone.push(GOOD)
    assert not accepted
    assert "error: nodes would refuse it: held back: 12 of 14 services would be gone" in said


@pytest.mark.parametrize("before", [{"site.yaml": "broken"}, {"README": "nothing"}])
def test_what_was_there_and_cannot_be_compiled_keeps_no_repair_back(
    clone: Clone, before: dict[str, str]
) -> None:
    hook = clone.bare / "hooks/pre-receive"
    hook.rename(clone.bare / "hooks/off")
    clone.push(before)
    (clone.bare / "hooks/off").rename(hook)
    accepted, said = clone.push(GOOD)
    assert accepted
    assert "changeLimits are not checked" in said


def test_what_git_does_not_say_is_one_line(clone: Clone) -> None:
    command = HOOK.splitlines()[1].removeprefix("exec ").split()
    done = subprocess.run(command, input="garbage\n", text=True, capture_output=True)
    told = 'error: git tells a pre-receive hook "OLD NEW REF" in each line\n'
    assert (1, "", told) == (done.returncode, done.stdout, done.stderr)


def test_other_branches_are_not_looked_at_and_the_branch_stays(clone: Clone) -> None:
    assert clone.push({"a": "b"}, ref="refs/heads/other")[0]
    assert clone.push(GOOD)[0]
    done = clone.git("push", "origin", "--delete", "main")
    assert done.returncode != 0
    assert "nodes follow main: it cannot be deleted" in done.stderr


@pytest.mark.parametrize(("path", "accepted"), [("sites/lab", True), ("sites/none", False)])
def test_a_directory_of_the_repository(tmp_path: Path, path: str, accepted: bool) -> None:
    clone = Clone(tmp_path, f"--branch live --path {path}")
    files = {f"sites/lab/{name}": text for name, text in GOOD.items()}
    done, said = clone.push({**files, "other.yaml": "x"}, ref="refs/heads/live")
    assert done == accepted
    assert accepted or "there is no directory sites/none" in said
