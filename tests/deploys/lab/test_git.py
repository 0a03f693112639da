"""The lab's git server: what each key may do, and whom a push is told to."""

import subprocess
from pathlib import Path

import pytest

from groundplane.sources.url import GitUrl, parse
from groundplane_deploys.lab.git import format_authorized_keys, format_session, node_url
from groundplane_deploys.lab.model import Lab, LabNode
from groundplane_deploys.lab.repository import PRE_RECEIVE, format_hook, remove_clone

LAB = Lab(
    nodes=(LabNode("n1", ("192.168.50.11/24",)), LabNode("n2", ("192.168.50.12/24",))),
    state=Path("/var/lib/lab"),
)
READ, WRITE = "git-upload-pack '/site.git'", "git-receive-pack '/site.git'"


def test_the_nodes_source_is_one_that_the_agent_takes() -> None:
    found = parse(node_url(LAB))
    assert isinstance(found, GitUrl)
    assert ("git", "192.168.50.1", "/site.git", "main") == (
        found.user,
        found.host,
        found.repository,
        found.ref,
    )


def test_every_key_is_bound_to_one_command() -> None:
    text = format_authorized_keys(LAB, "ssh-ed25519 W\n", "ssh-ed25519 R\n")
    assert (
        'restrict,command="/var/lib/lab/git/session write" ssh-ed25519 W\n'
        'restrict,command="/var/lib/lab/git/session read" ssh-ed25519 R\n'
    ) == text


@pytest.mark.parametrize(
    ("right", "asked", "done"),
    [
        ("read", READ, "git-upload-pack"),
        ("read", WRITE, ""),
        ("read", "sh", ""),
        ("read", READ + "; sh", ""),
        ("read", "git-upload-pack '/etc'", ""),
        ("write", READ, "git-upload-pack"),
        ("write", WRITE, "git-receive-pack"),
        ("write", "", ""),
    ],
)
def test_a_key_can_do_what_it_is_for(tmp_path: Path, right: str, asked: str, done: str) -> None:
    for name in ("git-upload-pack", "git-receive-pack"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    ran = subprocess.run(
        ["sh", "-c", format_session(LAB), "session", right],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": asked},
        text=True,
        capture_output=True,
    )
    assert (f"{done} /var/lib/lab/git/site.git\n" if done else "") == ran.stdout
    assert (0 if done else 1) == ran.returncode


def test_a_push_is_told_to_every_node() -> None:
    hook = format_hook(LAB)
    assert "for node in n1 n2; do" in hook
    assert "groundplane agent poke" in hook


def test_a_push_is_checked_by_the_command_of_this_environment() -> None:
    program = PRE_RECEIVE.splitlines()[1].split()[1]
    assert Path(program).is_file()
    assert PRE_RECEIVE.endswith(" pre-receive --branch main\n")


def test_what_is_not_the_labs_clone_is_not_removed(tmp_path: Path) -> None:
    lab = Lab(clone=tmp_path / "site")
    subprocess.run(["git", "init", "--quiet", str(lab.clone_dir)], check=True)
    remove_clone(lab)
    assert lab.clone_dir.is_dir()
