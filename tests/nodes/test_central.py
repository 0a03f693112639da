"""The site's repository on a server: pushed to, hurt, gone, and a node that boots without it."""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.nodes.conftest import EVERY_WEB, PREFIX, WEB, Deployed
from tests.waiting import PATIENCE

pytestmark = pytest.mark.nodes

NODES = ("n1", "n2", "n3")
# Runs on a node until a service answers at a place, and says when that was. Asking is cheap, as the
# machine has all the nodes to carry.
SEEN = """
import socket, sys, time
while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()
        break
    except OSError:
        time.sleep(0.05)
print(time.monotonic())
"""
# Says when a connection to a URL was served, again and again, until it is ended.
SERVED = """
import sys, time, urllib.request
while True:
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=0.3) as answer:
            if answer.read().startswith(b"web-"):
                print(time.monotonic(), flush=True)
    except OSError:
        pass
    time.sleep(0.02)
"""


# A node that missed the poke has looked by then: it looks every 5 s.
LATEST_S = PATIENCE * 10


@pytest.fixture
def restored(site: Deployed) -> Iterator[Deployed]:
    """The site, which is as it was afterwards."""
    try:
        yield site
    finally:
        site.restore()


def _push_and_watch(site: Deployed, port: int, *options: str) -> dict[str, float]:
    """Push what is committed; return after how many seconds each node's kernel leads to *port*."""
    config = f"/var/lib/groundplane-{PREFIX}/ssh/config"
    inside = ["ip", "netns", "exec", PREFIX, "ssh", "-F", config]
    address = next(each for each in site.services if each.name == "web").cluster_ips[0]
    watching = {
        node: subprocess.Popen(
            [*inside, node, f"python3 -c {shlex.quote(SEEN)} {address} {port}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for node in NODES
    }
    time.sleep(1)  # all of them have logged in
    began = time.monotonic()
    site.git("push", "--quiet", *options)
    return {
        node: float(each.communicate(timeout=2 * LATEST_S)[0]) - began
        for node, each in watching.items()
    }


def test_a_push_is_in_every_kernel_within_seconds(restored: Deployed) -> None:
    for port in (8000, 8001, 8002):
        restored.commit("web.yaml", lambda text, port=port: _other_port(text, port))  # type: ignore[misc]
        found = _push_and_watch(restored, port)
        print(f"a push is in the kernels after {_seconds(found)}")
        assert max(found.values()) < LATEST_S


def _other_port(text: str, port: int) -> str:
    lines = text.split("\n")
    index = next(i for i, line in enumerate(lines) if line.startswith("  - port: "))
    lines[index] = f"  - port: {port}"
    return "\n".join(lines)


def _seconds(found: dict[str, float]) -> str:
    return ", ".join(f"{seconds:.2f} s ({node})" for node, seconds in sorted(found.items()))


def test_zones_are_as_declared_after_a_service_was_added(restored: Deployed) -> None:
    """The serial of a zone is then beyond the one that the agent's file has, which is written ahead."""
    service, _, _ = (restored.source / "web.yaml").read_text().partition("\n---")
    (restored.source / "added.yaml").write_text(service.replace("name: web", "name: added", 1))
    restored.run("groundplane", "allocate", str(restored.source))
    restored.git("add", "added.yaml")
    restored.wait_for_commit(restored.push("added.yaml", lambda text: text))
    verified = ("pytest", "-q", "-p", "no:cacheprovider", "-k", "zones", "tests/verify")
    assert " passed" in restored.run(*verified)


def test_a_forced_push_is_followed(restored: Deployed) -> None:
    restored.push_and_wait("web.yaml", lambda text: _other_port(text, 8003))
    first = restored.git("rev-parse", "HEAD")
    path = restored.source / "web.yaml"
    path.write_text(_other_port(path.read_text(), 8004))
    restored.git("commit", "--quiet", "--all", "--amend", "--message=another history")
    found = _push_and_watch(restored, 8004, "--force")
    print(f"a forced push is in the kernels after {_seconds(found)}")
    assert first not in restored.git("rev-list", "HEAD")
    restored.wait_for_commit(restored.git("rev-parse", "HEAD"))


def test_a_push_that_nodes_would_refuse_is_refused_and_says_why(restored: Deployed) -> None:
    before = restored.status("n1")["sourceRevision"]
    restored.commit("web.yaml", lambda text: text.replace("- port: 80", "- prot: 80", 1))
    done = subprocess.run(
        ["git", "-C", str(restored.source), "push"], text=True, capture_output=True
    )
    assert done.returncode != 0
    assert 'spec.ports[0].prot: unknown field "prot"; did you mean "port"?' in done.stderr
    assert "main stays as it is" in done.stderr
    restored.git("reset", "--quiet", "--hard", "HEAD^")
    assert before == restored.status("n1")["sourceRevision"]


def test_a_broken_commit_changes_nothing_and_is_named(restored: Deployed) -> None:
    line = 1 + (restored.source / "web.yaml").read_text().split("\n").index("  - port: 80")
    before = {node: restored.status(node) for node in NODES}
    commit = restored.commit("web.yaml", lambda text: text.replace("- port: 80", "- prot: 80", 1))
    restored.push_past_the_hook()
    for node in NODES:
        restored.wait(lambda n=node: restored.status(n)["sourceError"], 10, "the fault is seen")  # type: ignore[misc]
        after = restored.status(node)
        assert before[node]["revision"] == after["revision"]
        assert before[node]["sourceRevision"] == after["sourceRevision"]
        place = f"@{commit[:12]}/web.yaml:{line}: Service/default/web: spec.ports[0].prot"
        assert place in after["sourceError"]
        assert not after["healthy"]
    assert EVERY_WEB == set(restored.connect("n2", "", WEB, 80, count=60))


def test_a_commit_without_any_document_changes_nothing(restored: Deployed) -> None:
    restored.git("rm", "--quiet", "*.yaml")
    (restored.source / "README").write_text("nothing\n")
    restored.git("add", "README")
    restored.git("commit", "--quiet", "--message=empty")
    restored.push_past_the_hook()
    restored.wait(lambda: bool(restored.status("n2")["sourceError"]), 10, "no documents are seen")
    assert EVERY_WEB == set(restored.connect("n2", "", WEB, 80, count=60))


def test_a_node_cannot_write_to_the_repository(site: Deployed) -> None:
    key = (
        "-i /etc/groundplane/trust/ssh_key -o UserKnownHostsFile=/etc/groundplane/trust/known_hosts"
    )
    command = f"runuser -u groundplane -- ssh {key} git@192.168.50.1 \"git-receive-pack '/site.git'\" 2>&1"
    assert "this key may not do that here" in site.on("n1", command, check=False)


@contextmanager
def _without_server(site: Deployed) -> Iterator[None]:
    site.stop_git_server()
    try:
        yield
    finally:
        site.start_git_server()
    for node in NODES:
        site.wait(lambda n=node: site.status(n)["healthy"], 20, f"{node} is content again")  # type: ignore[misc]


def test_without_the_server_everything_goes_on(site: Deployed) -> None:
    before = site.status("n1")["revision"]
    with _without_server(site):
        site.wait(lambda: all(site.status(node)["sourceError"] for node in NODES), 30, "all say so")
        assert "192.168.50.1" in site.status("n1")["sourceError"]
        assert before == site.status("n1")["revision"]
        for node, place in (("n1", "default-echo-1"), ("n2", ""), ("n3", "default-web-3")):
            assert EVERY_WEB == set(site.connect(node, place, WEB, 80, count=60))
        # What others damage is repaired from what the agent knows.
        site.on("n2", "nft flush ruleset")
        site.wait(
            lambda: EVERY_WEB == set(site.connect("n2", "orders-db-0", WEB, 80, count=60)),
            20,
            "traffic flows again",
        )


def _microseconds(site: Deployed, node: str, of: str, unit: str = "") -> float:
    return float(site.on(node, f"systemctl show -P {of} {unit}").strip())


def test_a_node_boots_and_serves_without_the_server(site: Deployed) -> None:
    """Its clock is the machine's: CLOCK_MONOTONIC, in the node and here."""
    watch = ["ip", "netns", "exec", PREFIX, sys.executable, "-c", SERVED]
    with _without_server(site):
        revision = site.status("n3")["revision"]
        boot = "UserspaceTimestampMonotonic"
        before = _microseconds(site, "n3", boot)
        watching = subprocess.Popen(
            [*watch, "http://192.168.50.13:30080/"], stdout=subprocess.PIPE, text=True
        )
        try:
            site.on("n3", "systemctl reboot", check=False)
            site.wait(lambda: _has_booted(site, before), 60, "n3 is back")
            time.sleep(1)
        finally:
            watching.terminate()
        served = [float(line) for line in watching.communicate()[0].split()]
        began = _microseconds(site, "n3", boot) / 1e6
        agent, network = (
            _microseconds(site, "n3", "ActiveEnterTimestampMonotonic", unit) / 1e6
            for unit in ("groundplane-agent.service", "network-online.target")
        )
        first = min(each for each in served if each > began)
        print(
            f"since the boot began: agent ready {agent - began:.2f} s, "
            f"network online {network - began:.2f} s, first connection {first - began:.2f} s"
        )
        assert 0 < agent <= network
        assert first - began < 15
        status = site.status("n3")
        assert revision == status["revision"]
        assert status["sourceError"]
        assert EVERY_WEB == set(site.connect("n3", "default-web-3", WEB, 80, count=60))
        cycles = site.on("n3", "journalctl -b --no-pager | grep -i 'ordering cycle'", check=False)
        assert "" == cycles


def _has_booted(site: Deployed, before: float) -> bool:
    """Whether it is another boot, and that is over."""
    command = "systemctl show -P UserspaceTimestampMonotonic; systemctl is-system-running"
    lines = site.on("n3", command, check=False).split()
    return len(lines) == 2 and float(lines[0]) > before and lines[1] in ("running", "degraded")
