"""What a maintainer gets to see: never a secret."""

import io
import tarfile
from pathlib import Path

import pytest

from groundplane.agent.store import PREVIOUS_FILE, SITE_FILE
from groundplane.compile.pipeline import compile_source
from groundplane.node.support_bundle import Limits, collect, commands_of_a_node, pack
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode
from tests.catalogs import SITE, write

COMMANDS = {
    "agent/status.json": ("groundplane", "agent", "status", "-o", "json"),
    "kernel/version.txt": ("uname", "-a"),
    "kernel/none.txt": ("no-such-program-of-ours",),
}
SECRET = b"c2VjcmV0IG9mIG91cnM="
CATALOG = {
    "site.yaml": SITE.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]"),
    "web.yaml": f"""\
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: web, labels: {{app: web}}}}
spec:
  node: n1
  ports: [{{name: http, port: 80}}]
  readinessProbe:
    httpGet: {{port: http, httpHeaders: [{{name: Authorization, value: Basic {SECRET.decode()}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}
""",
    "addresses.lock": "Node/n1 10.244.0.0/24\nService/default/web 10.96.0.5\n"
    "Workload/default/web 10.244.0.10\n",
}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directories of an agent, with a secret in every file that may hold one."""
    state, runtime = tmp_path / "state", tmp_path / "run"
    for name in ("state/source", "run", "trust"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("groundplane.key", "token", "source/ssh_key", "source/client.key", ".token.new"):
        (state / name).write_bytes(SECRET)
    (runtime / "token").write_bytes(SECRET)
    (tmp_path / "trust" / "token").write_bytes(SECRET)
    write(tmp_path / "site", CATALOG)
    site = compile_source(tmp_path / "site")
    assert [(("Authorization", f"Basic {SECRET.decode()}"),)] == [
        probe.headers for probe in site.probes
    ]
    (state / SITE_FILE).write_bytes(encode(site))
    (state / PREVIOUS_FILE).write_bytes(encode(site)[:-1])
    monkeypatch.setenv("GROUNDPLANE_TRUST", str(tmp_path / "trust"))
    monkeypatch.setenv("TOKEN", SECRET.decode())
    return tmp_path


def test_no_key_and_no_token_is_in_it(node: Path) -> None:
    packed = pack(collect(node / "state", node / "run", COMMANDS))
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
    (probe,) = decode(contents[f"groundplane/state/{SITE_FILE}"]).every_probe()
    assert (("Authorization", "..."),) == probe.headers
    cut = contents[f"groundplane/state/{PREVIOUS_FILE}"]
    assert cut == b"not a compiled site: it is cut off, or has something behind its end\n"


def test_all_of_a_site_but_header_values_is_in_it(node: Path) -> None:
    before = decode((node / "state" / SITE_FILE).read_bytes())
    after = decode(collect(node / "state", node / "run", COMMANDS)[f"state/{SITE_FILE}"])
    assert before.head == after.head
    for each in ("every_service", "every_node_workloads"):
        assert [*getattr(before, each)()] == [*getattr(after, each)()]


def test_why_something_is_not_there_stands_in_its_place(node: Path) -> None:
    (node / "state" / PREVIOUS_FILE).unlink()
    found = collect(node / "state", node / "run", COMMANDS)
    assert b"No such file or directory\n" == found[f"state/{PREVIOUS_FILE}"]
    assert b"no-such-program-of-ours is not installed\n" == found["kernel/none.txt"]
    assert found["agent/status.json"].endswith(b"is the agent running?\n")


def test_a_command_that_hangs_is_left_and_long_output_is_cut(node: Path) -> None:
    commands = {"slow.txt": ("sleep", "60"), "long.txt": ("head", "-c", "1000", "/dev/zero")}
    found = collect(node / "state", node / "run", commands, Limits(command_s=0.2))
    assert b"timed out after 0.2 seconds" in found["slow.txt"]
    found = collect(
        node / "state", node / "run", {"long.txt": commands["long.txt"]}, Limits(5.0, 10)
    )
    assert 10 * b"\0" == found["long.txt"]


def test_only_its_owner_may_read_what_is_unpacked() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack({"a": b"1", "b": b"22"}))) as archive:
        assert [("groundplane/a", 0o600, 1), ("groundplane/b", 0o600, 2)] == [
            (entry.name, entry.mode, entry.size) for entry in archive
        ]


def test_what_is_asked_reads_no_configuration() -> None:
    words = {word for command in commands_of_a_node().values() for word in command}
    assert set() == {word for word in words if word.startswith("/") or "key" in word}
