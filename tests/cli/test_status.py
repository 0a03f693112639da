"""`groundplane status`: nodes that are asked over a real ssh, all of them the same agent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundplane.agent.status import write_status
from tests.cli.run import Command
from tests.cli.test_agent import GOOD, answering
from tests.sources.sshd import Sshd, free_port, running, sshd

pytestmark = pytest.mark.slow

CLUSTER = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: lab}
spec: {serviceCIDRs: [10.96.0.0/24], workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}]}
"""
NODE = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n{number}}}
spec:
  addresses: [192.0.2.{number}]
  management: {{host: 127.0.0.1, port: {port}, user: git, keyFile: "{key}", hostKeys: ["{host}"]}}
"""
# The agent's directory, where a node has it.
SESSION = """#!/bin/sh
mkdir -p /run/groundplane && mount --bind {directory} /run/groundplane
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""


@pytest.fixture
def server(source: Path) -> Iterator[Sshd]:
    directory = Path("ssh").absolute()
    directory.mkdir()
    made = sshd(directory)
    (directory / "session").write_text(SESSION.format(directory=Path().absolute()))
    with running(made):
        yield made


@pytest.fixture
def declare(server: Sshd, source: Path) -> Callable[..., None]:
    """Return what writes a site of nodes, each with the port of its sshd."""

    def written(*ports: int) -> None:
        kind, key = (server.directory / "host.pub").read_text().split()[:2]
        nodes = [
            NODE.format(
                number=number, port=port, key=server.directory / "a key", host=f"{kind} {key}"
            )
            for number, port in enumerate(ports, start=1)
        ]
        source.mkdir(exist_ok=True)
        (source / "site.yaml").write_text(CLUSTER + "".join(nodes))

    return written


def test_thirty_nodes_are_well(
    groundplane: Command, server: Sshd, declare: Callable[..., None]
) -> None:
    declare(*[server.port] * 30)
    with answering(GOOD):
        done = groundplane("status", "--within", "60", "site")
    assert (0, "") == (done.status, done.err)
    heading, *rows = done.out.splitlines()
    assert ["NODE", "STATE", "COMMIT", "REVISION", "LAG", "HELD", "FAILING"] == heading.split()
    assert [f"n{number}" for number in range(1, 31)] == [row.split()[0] for row in rows]
    assert {("as", "declared", "-", "abc", "0", "0", "0")} == {tuple(r.split()[1:]) for r in rows}


def test_a_node_that_does_not_answer_is_named_and_the_others_are_shown(
    groundplane: Command, server: Sshd, declare: Callable[..., None]
) -> None:
    declare(server.port, free_port())
    with answering(GOOD):
        done = groundplane("status", "--within", "60", "-o", "json", "site")
    assert 1 == done.status
    first, second = json.loads(done.out)
    assert (True, "abc", 0.0) == (first["well"], first["revision"], first["lag"])
    assert (False, "no answer", None) == (second["well"], second["state"], second["lag"])
    assert "Connection refused" in second["detail"]


def test_an_agent_that_is_stopped_says_what_it_said_last(
    groundplane: Command, server: Sshd, declare: Callable[..., None]
) -> None:
    declare(server.port)
    write_status(Path(), GOOD)
    done = groundplane("status", "--within", "60", "site")
    assert 1 == done.status
    assert ["n1", "agent", "stopped", "-", "abc"] == done.out.splitlines()[1].split()[:5]
    assert "n1: it does not answer: " in done.out


def test_a_host_key_that_is_not_the_pinned_one_is_refused(
    groundplane: Command, server: Sshd, declare: Callable[..., None]
) -> None:
    declare(server.port)
    other = (server.directory / "a key.pub").read_text().split()[1]
    pinned = (server.directory / "host.pub").read_text().split()[1]
    text = Path("site/site.yaml").read_text().replace(pinned, other)
    Path("site/site.yaml").write_text(text)
    with answering(GOOD):
        done = groundplane("status", "--within", "60", "site")
    assert 1 == done.status
    assert "Host key verification failed" in done.out
