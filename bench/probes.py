"""What it costs to probe 10,000 endpoints, and how soon one that dies is told.

    python -m bench.probes [--probes 10000] [--seconds 20]

As root: prober and backends are on loopback in a network namespace of their own, which goes with
the processes. The backends are a child; times and memory are of this process, which only probes.
CPU time is that of all its work, kernel included, and so holds the backends' half of each
handshake too: on loopback the kernel does it in the prober's name.
"""

import argparse
import asyncio
import gc
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from bench.network import new_network
from groundplane.agent import loop  # noqa: F401  (its memory is the agent's)
from groundplane.probes import ProbeKey, Prober, Verdict
from groundplane.site.compiled import Probe, ProbeKind

PORTS = range(8000, 8008)
PERIOD_S, TIMEOUT_S, FAILURES = 10, 1, 3
KILLED_PERIOD_S, KILLED_FAILURES, KILLS = 1, 2, 12
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def serve() -> None:
    """Accept on every port of every address, and answer what asks. Runs until it is killed."""
    poll = select.epoll()
    listeners = {}
    for port in PORTS:
        listener = socket.create_server(("0.0.0.0", port), backlog=4096)  # noqa: S104
        listener.settimeout(0)
        listeners[listener.fileno()] = listener
        poll.register(listener, select.EPOLLIN)
    print("ready", flush=True)
    open_: dict[int, socket.socket] = {}
    while True:
        for descriptor, event in poll.poll():
            if listener := listeners.get(descriptor):  # type: ignore[assignment]
                with suppress(BlockingIOError):
                    while True:
                        accepted = listener.accept()[0]
                        accepted.settimeout(0)
                        open_[accepted.fileno()] = accepted
                        poll.register(accepted, select.EPOLLIN)
                continue
            connection = open_[descriptor]
            with suppress(OSError):
                if event & select.EPOLLIN and connection.recv(4096):
                    connection.send(ANSWER)
            open_.pop(descriptor).close()


def probe(number: int, kind: ProbeKind) -> Probe:
    address = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    port = PORTS[number % len(PORTS)]
    return Probe(
        f"ns-{number % 100}", f"app-{number}", f"n{number % 100}", kind, 0, PERIOD_S, TIMEOUT_S,
        1, FAILURES, address, port, "/healthz", f"{address}:{port}",
    )  # fmt: skip


def _row(what: str, value: str) -> None:
    print(f"  {what:<58}{value:>12}", flush=True)


async def cost(count: int, kind: ProbeKind, seconds: float) -> None:
    """Print what *count* probes of *kind* take, from the second period on."""
    changes = 0

    def changed(found: Mapping[ProbeKey, Verdict]) -> None:
        nonlocal changes
        changes += len(found)

    probes = {each.key: each for each in (probe(number, kind) for number in range(count))}
    before = _resident_mb()
    prober = Prober("n0", changed)
    start = time.perf_counter()
    prober.want(probes)
    wanted = time.perf_counter() - start
    while prober.failing and time.perf_counter() - start < 30:
        await asyncio.sleep(0.05)
    passing = time.perf_counter() - start
    await asyncio.sleep(PERIOD_S)
    changes, used, began = 0, _cpu_s(), time.perf_counter()
    await asyncio.sleep(seconds)
    share = (_cpu_s() - used) / (time.perf_counter() - began)
    print(f"{count:,} probes of kind {kind}, each every {PERIOD_S} s, over {seconds:.0f} s")
    _row("CPU of one core", f"{share:.1%}")
    _row("resident memory of the process", f"{_resident_mb():.0f} MB")
    _row("  of it for the probes", f"{_resident_mb() - before:.0f} MB")
    _row("all wanted", f"{wanted * 1000:.0f} ms")
    _row("all known to pass", f"{passing:.2f} s")
    took = sorted(each.seconds for each in prober.verdicts.values())
    _row("a check takes (median)", f"{statistics.median(took) * 1000:.2f} ms")
    _row("a check takes (99 %)", f"{took[len(took) * 99 // 100] * 1000:.2f} ms")
    _row("verdicts that changed (none should)", f"{changes}")
    await prober.close()
    gc.collect()


async def kills(count: int) -> None:
    """Print how long after its death a backend is told, beside *count* others that are probed."""
    told: dict[ProbeKey, float] = {}
    prober = Prober("n0", lambda found: told.update(
        (key, time.perf_counter()) for key, each in found.items() if not each.passing
    ))  # fmt: skip
    probes = {each.key: each for each in (probe(number, "tcp") for number in range(count))}
    doomed = {}
    for number in range(KILLS):
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        place = listener.getsockname()
        each = Probe("doomed", f"app-{number}", "n1", "tcp", 0, KILLED_PERIOD_S, TIMEOUT_S,
                     1, KILLED_FAILURES, *place)  # fmt: skip
        doomed[each.key], probes[each.key] = listener, each
    prober.want(probes)
    while prober.failing:
        await asyncio.sleep(0.05)
    died = {}
    for key, listener in doomed.items():
        await asyncio.sleep(0.37)
        listener.close()
        died[key] = time.perf_counter()
    while told.keys() < doomed.keys():
        await asyncio.sleep(0.05)
    delays = sorted(told[key] - died[key] for key in doomed)
    bound = KILLED_FAILURES * KILLED_PERIOD_S + TIMEOUT_S + 0.25
    print(f"{KILLS} backends killed beside them; period {KILLED_PERIOD_S} s, "
          f"{KILLED_FAILURES} failures, timeout {TIMEOUT_S} s")  # fmt: skip
    _row("death to callback (least)", f"{delays[0]:.2f} s")
    _row("death to callback (most)", f"{delays[-1]:.2f} s")
    _row("  which may be", f"{bound:.2f} s")
    await prober.close()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    new_network()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    command = [sys.executable, "-m", "bench.probes", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            asyncio.run(cost(options.probes, "tcp", options.seconds))
            asyncio.run(cost(options.probes, "http", options.seconds))
            asyncio.run(kills(options.probes))
        finally:
            child.kill()


if __name__ == "__main__":
    main()
