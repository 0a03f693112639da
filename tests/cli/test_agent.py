"""`groundplane agent status` and `groundplane netns`."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from groundplane.agent import SOCKET
from groundplane.agent.api import Api
from groundplane.agent.http import Server
from groundplane.agent.report import Report
from groundplane.agent.status import PlaneStatus, Status, write_status
from groundplane.agent.store import save_site
from groundplane.compile.pipeline import compile_source
from groundplane.site.encoding import encode
from tests.cli.run import Command, Done

GOOD = Status(
    "n1", "0.1.0", 7, 0.0, "/src", "abc", 1, 86400.0, 3, source_checked=86400.0,
    planes=(PlaneStatus("links", since=86400.0), PlaneStatus("dns", since=86400.0)),
)  # fmt: skip
TEXT = """\
Node:       n1
Version:    0.1.0 (pid 7, since never)
Source:     /src (looked at 1970-01-02 00:00:00Z)
Revision:   abc (3 services, 1970-01-02 00:00:00Z)
links:      as declared since 1970-01-02 00:00:00Z
dns:        as declared since 1970-01-02 00:00:00Z
"""


@contextmanager
def answering(
    found: Status,
    poked: Callable[[Report], None] = lambda _: None,
    prepared: Callable[[Report], None] = lambda _: None,
) -> Iterator[None]:
    """Answer for an agent whose status is *found*, in this directory.

    *prepared* is called with its report at the start, *poked* by each poke.
    """
    started, loop = threading.Event(), asyncio.new_event_loop()
    report = Report(found, Path())
    prepared(report)
    server = Server(Api(report, report.metrics, lambda: poked(report)).local)

    async def serve() -> None:
        await server.listen_on_path(Path(SOCKET), 0o600)
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(5)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def status(groundplane: Command, found: Status, *options: str) -> Done:
    with answering(found):
        return groundplane("agent", "status", "--runtime-directory", ".", *options)


def test_a_healthy_agent_is_0(groundplane: Command, source: Path) -> None:
    assert Done(0, TEXT, "") == status(groundplane, GOOD)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"source_error": "a.yaml:1: x\nb.yaml:2: y"},
            "stays in place:\n  a.yaml:1: x\n  b.yaml:2: y\n",
        ),
        (
            {"store_error": "site.snapshot: full"},
            "The revision above is not kept for the next start: site.snapshot: full\n",
        ),
        ({"planes": (PlaneStatus("dns", "refused"),)}, "dns:        refused\n"),
        ({"planes": (PlaneStatus("dns", "refused", busy_since=1.0),)}, "dns:        refused\n"),
        (
            {"planes": (PlaneStatus("dns", busy_since=86400.0),)},
            "dns:        busy since 1970-01-02 00:00:00Z, and may not be as declared\n",
        ),
        ({"revision": "", "failing": 1, "failing_workloads": ("a/b",)}, "1 workload fails: a/b\n"),
        ({"revision": ""}, "Revision:   none"),
        (
            {"revision": "", "leftover_workloads": ("a-b",)},
            (
                "The workload a-b left this node; its network is still here: stop what runs there, "
                "and run `systemctl disable --now groundplane-netns@a-b`\n"
            ),
        ),
    ],
)
def test_what_is_not_as_declared_is_told_and_1(
    groundplane: Command, source: Path, changes: dict[str, object], told: str
) -> None:
    changed = msgspec.structs.replace(GOOD, **changes)
    done = status(groundplane, changed)
    assert (1, "") == (done.status, done.err)
    assert told in done.out
    machine = status(groundplane, changed, "-o", "json")
    assert (1, False) == (machine.status, json.loads(machine.out)["healthy"])


def test_an_agent_that_is_gone_is_not_healthy(groundplane: Command, source: Path) -> None:
    write_status(Path(), GOOD)
    done = groundplane("agent", "status", "--runtime-directory", ".")
    assert 1 == done.status
    assert "not running" in done.out + done.err


def test_without_an_agent_it_is_one_line(groundplane: Command, source: Path) -> None:
    done = groundplane("agent", "status", "--runtime-directory", "nowhere")
    told = "error: nowhere/status.json: No such file or directory; is the agent running?\n"
    assert Done(1, "", told) == done


def looks(report: Report) -> None:
    report.tell(source_checked=time.time())


def test_waiting_ends_once_the_agent_has_looked_and_all_is_as_declared(
    groundplane: Command, source: Path
) -> None:
    with answering(GOOD, looks):
        waited = groundplane("agent", "wait", "--runtime-directory", ".", "--revision", "abc")
    assert Done(0, "", "") == waited


def test_waiting_goes_on_until_the_agent_starts(groundplane: Command, source: Path) -> None:
    def start() -> None:
        with answering(GOOD, looks):
            done.wait(10)

    done, thread = threading.Event(), threading.Timer(0.3, start)
    thread.start()
    assert Done(0, "", "") == groundplane("agent", "wait", "--runtime-directory", ".")
    done.set()
    thread.join()


@pytest.mark.parametrize(
    ("changes", "options", "why"),
    [
        ({"source_error": "held back: x"}, (), "does not report that all is as declared"),
        ({}, ("--revision", "def"), "the agent uses revision abc, not def"),
    ],
)
def test_waiting_fails_with_the_words_of_the_agent(
    groundplane: Command,
    source: Path,
    changes: dict[str, str],
    options: tuple[str, ...],
    why: str,
) -> None:
    with answering(msgspec.structs.replace(GOOD, **changes), looks):
        options = ("--runtime-directory", ".", "--within", "0.1", *options)
        done = groundplane("agent", "wait", *options)
    assert (1, "") == (done.status, done.out)
    assert why in done.err.splitlines()[0]
    assert all(text in done.err for text in changes.values())


def test_waiting_for_an_agent_that_is_not_there_fails(groundplane: Command, source: Path) -> None:
    done = groundplane("agent", "wait", "--runtime-directory", ".", "--within", "0")
    assert 1 == done.status
    assert "is the agent running?" in done.err


def netns(groundplane: Command, instance: str, node: str = "n1") -> Done:
    return groundplane("netns", "up", instance, "--node", node, "--state-directory", "state")


def test_netns_needs_the_site_that_the_agent_keeps(groundplane: Command, source: Path) -> None:
    done = netns(groundplane, "default-a")
    assert (1, "") == (done.status, done.out)
    assert done.err.startswith("error: state/site.snapshot: No such file or directory; ")


@pytest.mark.parametrize(
    ("instance", "node", "told"),
    [
        (
            "default-b",
            "n1",
            'Node/n1 has no workload "default-b" with addresses of its own; did you mean "default-a"?',
        ),
        ("default-a", "n11", 'the site has no Node "n11"; did you mean "n1"?'),
    ],
)
def test_netns_of_what_is_not_in_the_site_is_one_line(
    groundplane: Command, site: Path, instance: str, node: str, told: str
) -> None:
    Path("state").mkdir()
    save_site(Path("state"), encode(compile_source(site)))
    assert Done(1, "", f"error: {told}\n") == netns(groundplane, instance, node)
