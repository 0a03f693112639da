"""What a maintainer gets to see: never a secret."""

import io
import tarfile
from pathlib import Path

import pytest

from groundplane import bundle
from groundplane.agent.store import PREVIOUS_FILE, SITE_FILE
from groundplane.bundle import collect, pack

SECRET = b"c2VjcmV0IG9mIG91cnM="


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directories of an agent, with a secret in every file that may hold one."""
    monkeypatch.setattr(
        bundle,
        "COMMANDS",
        {
            "agent/status.json": ("groundplane", "agent", "status", "-o", "json"),
            "kernel/version.txt": ("uname", "-a"),
            "kernel/none.txt": ("no-such-program-of-ours",),
        },
    )
    state, runtime = tmp_path / "state", tmp_path / "run"
    for name in ("state/source", "run", "trust"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("groundplane.key", "token", "source/ssh_key", "source/client.key", ".token.new"):
        (state / name).write_bytes(SECRET)
    (runtime / "token").write_bytes(SECRET)
    (tmp_path / "trust" / "token").write_bytes(SECRET)
    (state / SITE_FILE).write_bytes(b"the site\n")
    monkeypatch.setenv("GROUNDPLANE_TRUST", str(tmp_path / "trust"))
    monkeypatch.setenv("TOKEN", SECRET.decode())
    return tmp_path


def test_no_key_and_no_token_is_in_it(node: Path) -> None:
    packed = pack(collect(node / "state", node / "run"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        contents = {
            entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive
        }
    assert {
        "groundplane/agent/status.json",
        "groundplane/kernel/version.txt",
        "groundplane/kernel/none.txt",
        "groundplane/kernel/tables.txt",
        "groundplane/kernel/ruleset.nft",
        f"groundplane/state/{SITE_FILE}",
        f"groundplane/state/{PREVIOUS_FILE}",
    } == contents.keys()
    assert [] == [name for name, content in contents.items() if SECRET in content]
    assert b"the site\n" == contents[f"groundplane/state/{SITE_FILE}"]


def test_why_something_is_not_there_stands_in_its_place(node: Path) -> None:
    found = collect(node / "state", node / "run")
    assert b"No such file or directory\n" == found[f"state/{PREVIOUS_FILE}"]
    assert b"no-such-program-of-ours is not installed\n" == found["kernel/none.txt"]
    assert found["agent/status.json"].endswith(b"is the agent running?\n")


def test_a_command_that_hangs_is_left_and_long_output_is_cut(
    node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = {"slow.txt": ("sleep", "60"), "long.txt": ("head", "-c", "1000", "/dev/zero")}
    monkeypatch.setattr(bundle, "COMMANDS", commands)
    monkeypatch.setattr(bundle, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(bundle, "_BYTES", 10)
    found = collect(node / "state", node / "run")
    assert b"timed out after 0.2 seconds" in found["slow.txt"]
    assert 10 * b"\0" == found["long.txt"]


def test_only_its_owner_may_read_what_is_unpacked() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack({"a": b"1", "b": b"22"}))) as archive:
        assert [("groundplane/a", 0o600, 1), ("groundplane/b", 0o600, 2)] == [
            (entry.name, entry.mode, entry.size) for entry in archive
        ]


def test_what_is_asked_reads_no_configuration() -> None:
    words = {word for command in bundle.COMMANDS.values() for word in command}
    assert set() == {word for word in words if word.startswith("/") or "key" in word}
