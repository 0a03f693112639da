"""Faults, each with the real thing: what they may cost is an error in the status, and no traffic."""

import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.killed import Forked
from tests.kernel.living import API, LOCK, SITE, Living, living
from tests.kernel.world import Server, ip, within
from tests.waiting import until

pytestmark = pytest.mark.slow

BACKEND = "10.244.1.10"
VIP = ("10.96.0.5", 80)
ONE_BACKEND = SITE.replace(
    "metadata: {name: b, labels: {app: web}}", "metadata: {name: b}"
).replace("  sessionAffinity: ClientIP\n", "")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Living]:
    with living("faults", tmp_path) as made:
        made.write({"site.yaml": ONE_BACKEND})
        yield made


@contextmanager
def traffic(agent: Living) -> Iterator[list[str]]:
    """Connect to the service again and again; yield what failed, which is looked at afterwards."""
    ip(f"-n {agent.netns} address add {BACKEND}/32 dev lo")
    server = Server(agent.netns, "a", 8080, (BACKEND,))
    stop, failed = threading.Event(), list[str]()

    def connect() -> int:
        count = 0
        while not stop.is_set():
            try:
                with socket.create_connection(VIP, 3) as client:
                    assert client.recv(100)
            except (OSError, AssertionError) as error:
                failed.append(repr(error))
            count += 1
        return count

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(within, agent.netns, connect)
        try:
            yield failed
        finally:
            stop.set()
            count = running.result()
            server.close()
    assert count > 10


@contextmanager
def serving(agent: Living) -> Iterator[list[str]]:
    """Start the agent, and connect to the service from then on."""
    agent.start()
    agent.until_healthy()
    with traffic(agent) as failed:
        yield failed


VARIANTS = (
    {"addresses.lock": LOCK},
    {"addresses.lock": LOCK + "Service/default/api 10.96.0.6\n", "api.yaml": API},
)


def give(agent: Living, variant: int) -> None:
    (agent.source / "api.yaml").unlink(missing_ok=True)
    agent.write(VARIANTS[variant])


def complete(agent: Living, services: int) -> list[str]:
    """Let an agent do all that is to do; return what is in the kernel then."""
    started = time.time()
    forked = Forked(agent)
    try:
        until(partial(rests, agent, services, started))
    finally:
        forked.stop()
    return agent.rules()


def killed_at(agent: Living, step: int, services: int) -> bool:
    """Start an agent that is killed at *step*; return whether it lived on, having no such step."""
    started = time.time()
    forked = Forked(agent, step)
    ended = False

    def done() -> bool:
        nonlocal ended
        ended = forked.ended()
        return ended or rests(agent, services, started)

    until(done)
    if not ended:
        forked.stop()
    return not ended


def rests(agent: Living, services: int, started: float) -> bool:
    """Whether an agent that was *started* then has taken and kept its source."""
    found = agent.status
    return bool(
        found
        and found["started"] >= started
        and found["sourceChecked"]
        and (found["services"], found["sourceError"], found["storeError"]) == (services, "", "")
    )


def test_killed_at_any_step_of_a_change_it_leaves_what_the_next_one_completes(
    agent: Living,
) -> None:
    """Every step is tried, one after the other, until there is none left."""
    expected = []
    for variant in (0, 1):
        give(agent, variant)
        expected.append(complete(agent, variant + 1))
    with traffic(agent) as failed:
        for step in range(1, 100):
            variant = (step - 1) % 2
            give(agent, variant)
            lived = killed_at(agent, step, variant + 1)
            assert expected[variant] == complete(agent, variant + 1), f"killed at step {step}"
            if lived:
                break
    assert [] == failed
    assert 8 < step < 99


def test_killed_at_any_step_of_a_first_start_it_leaves_what_the_next_one_completes(
    agent: Living,
) -> None:
    expected = complete(agent, 1)
    for step in range(1, 100):
        agent.nft("flush", "ruleset")
        for family in ("-4", "-6"):
            agent.ip(family, "route", "flush", "proto", "71")
        agent.ip("address", "flush", "dev", "groundplane0", "scope", "global")
        for file in agent.state.iterdir():
            if file.is_file():
                file.unlink()
        lived = killed_at(agent, step, 1)
        assert expected == complete(agent, 1), f"killed at step {step}"
        if lived:
            break
    assert 12 < step < 99


def serves(agent: Living, count: int) -> bool:
    return bool(
        agent.status and agent.status["services"] == count and not agent.status["sourceError"]
    )


@contextmanager
def disk(directory: Path, size: str) -> Iterator[None]:
    """Let *directory* be a file system of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "gpt", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def test_a_full_disk_is_told_and_stops_nothing(agent: Living) -> None:
    with disk(agent.state, "64k"), serving(agent) as failed:
        filler = agent.state / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 20))
        agent.add_a_service()
        agent.until(partial(serves, agent, 2))
        agent.until(lambda: "No space left on device" in agent.status["storeError"])
        agent.kill()
        agent.start()
        agent.until(partial(serves, agent, 2))
        filler.unlink()
        agent.until(lambda: not agent.status["storeError"], 12)
        agent.stop()
    assert [] == failed


def test_a_read_only_disk_is_told_and_stops_nothing(agent: Living) -> None:
    with disk(agent.state, "1m"), serving(agent) as failed:
        subprocess.run(["mount", "-o", "remount,ro", agent.state], check=True)
        agent.add_a_service()
        agent.until(partial(serves, agent, 2))
        agent.until(lambda: "Read-only file system" in agent.status["storeError"])
        subprocess.run(["mount", "-o", "remount,rw", agent.state], check=True)
        agent.until(lambda: not agent.status["storeError"], 12)
        agent.stop()
    assert [] == failed


def test_out_of_file_descriptors_it_says_so_and_goes_on_when_there_are_some(agent: Living) -> None:
    with serving(agent) as failed:
        assert agent.process is not None
        open_now = len(os.listdir(f"/proc/{agent.process.pid}/fd"))
        limit = partial(resource.prlimit, agent.process.pid, resource.RLIMIT_NOFILE)
        soft, hard = limit()
        log = agent.root / "log"
        told = len(log.read_text())
        limit((open_now - 2, hard))  # less than it has: also what it opens again and again fails
        agent.add_a_service()
        (agent.root / "health.yaml").write_text("default/b: false\n")
        agent.groundplane("agent", "status")
        time.sleep(4)
        assert agent.process.poll() is None
        limit((soft, hard))
        agent.until(partial(serves, agent, 2))
        agent.until_healthy()
        agent.until(lambda: any(event["about"] == "Workload/default/b" for event in agent.events()))
        assert not agent.status["healthError"]
    lines = log.read_text()[told:].splitlines()
    assert 1 == sum("no file descriptor is left" in line for line in lines)
    assert not any(word in line for line in lines for word in ("Traceback", "Too many open"))
    assert [] == failed


@pytest.mark.parametrize("jump", ["+366d", "-366d"])
def test_a_clock_that_jumps_by_a_year_changes_nothing(agent: Living, jump: str) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    clock = agent.root / "clock"
    clock.write_text("+0d\n")
    agent.environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    with serving(agent) as failed:
        before = agent.status["sourceChecked"]
        clock.write_text(f"{jump}\n")
        agent.until(lambda: abs(agent.status["sourceChecked"] - before) > 300 * 86400)
        agent.add_a_service()
        agent.until(partial(serves, agent, 2))
        agent.ip("route", "del", "10.244.2.0/24")
        agent.until(lambda: "10.244.2.0/24" in agent.ip("route", "show", "proto", "71"), 2)
    assert [] == failed


def test_a_thousand_changes_a_second_are_taken_together_and_the_last_one_wins(
    agent: Living,
) -> None:
    agent.start()
    agent.until_healthy()
    health = agent.root / "health.yaml"
    start = time.monotonic()
    for number in range(1000):
        health.write_text(f"default/a: {'true' if number % 2 else 'false'}\n")
        time.sleep(max(0.0, start + (number + 1) / 1000 - time.monotonic()))
    agent.until(
        lambda: BACKEND in agent.nft("list", "map", "ip", "groundplane-services", "slots"), 3
    )
    time.sleep(0.5)
    assert BACKEND in agent.nft("list", "map", "ip", "groundplane-services", "slots")
    assert 100 > len(agent.events("EndpointLeft"))


def test_notifications_that_are_lost_cost_a_look_and_nothing_else(agent: Living) -> None:
    agent.start()
    agent.until_healthy()
    whole = agent.rules()
    elements = ", ".join(f"10.{n >> 8 & 255}.{n & 255}.1" for n in range(40_000))
    agent.nft("add table inet theirs; add set inet theirs s { type ipv4_addr; }")
    script = agent.root / "many.nft"
    script.write_text(f"add element inet theirs s {{ {elements} }}\n" * 2)
    assert agent.process is not None
    agent.process.send_signal(19)  # SIGSTOP: it hears of nothing for a while
    agent.nft("-f", str(script))
    agent.nft("flush map ip groundplane-services slots")
    agent.process.send_signal(18)
    agent.until(lambda: whole == agent.rules(), 5)


def test_a_node_that_is_renamed_keeps_what_it_has_and_says_so(agent: Living) -> None:
    agent.start()
    agent.until_healthy()
    whole = agent.rules()
    renamed = ONE_BACKEND.replace("name: n1}", "name: n9}").replace("node: n1", "node: n9")
    agent.write({"site.yaml": renamed, "addresses.lock": LOCK.replace("Node/n1", "Node/n9")})
    agent.until(lambda: agent.status["sourceError"])
    assert 'the site has no Node "n1"' in agent.status["sourceError"]
    assert whole == agent.rules()


def test_ranges_that_change_under_running_services_are_held_back(agent: Living) -> None:
    agent.start()
    agent.until_healthy()
    whole = agent.rules()
    agent.write({"site.yaml": ONE_BACKEND.replace("10.96.0", "10.97.0"),
                 "addresses.lock": LOCK.replace("10.96.0", "10.97.0")})  # fmt: skip
    agent.until(lambda: agent.status["changeHeld"])
    assert agent.status["sourceError"].startswith("held back: ")
    assert "default/web (10.96.0.5 -> 10.97.0.5)" in agent.status["sourceError"]
    assert whole == agent.rules()
