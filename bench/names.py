"""How soon another answer is on the wire, and what queries notice of changes.

    python -m bench.names [--services 10000] [--seconds 60] [--queries 5000] [--changes 100]

As root, in a network namespace of its own. BIND holds the zones of a node, changed by the agent's
own dataplane; Knot and unbound, where they are installed, have the same forward zone, changed by
a file and a reload. dnsperf, where it is installed, says how many queries a second each answers.
"""

import argparse
import gc
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from bench.name_servers import KEY, NameServer, address_of, bind, knot, unbound
from bench.network import new_network
from bench.queries import Asked
from groundplane.dataplanes.dns import Bind, local_files, server_config, zones_of
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.node.config_files import zone_files
from groundplane.project.extent import Only
from groundplane.project.persistent_map import changed
from groundplane.project.state import Member, NodeBase, NodeState, VirtualPort, VirtualService
from groundplane.site.compiled import Sizes

PORT: Final = 5300
MOVING: Final = 200  # headless services whose only endpoint is now here, now there
BASE = NodeBase(
    name="n1", domain="cluster.local", families=("IPv4",), addresses=("192.0.2.1",),
    subnets=("10.244.1.0/24",), bridge_addresses=("127.0.0.2",), bridge_mac="02:00:00:00:00:01",
    service_cidrs=("10.96.0.0/12",), workload_cidrs=("10.244.0.0/16",), non_masquerade_cidrs=(),
    egress_masquerade=True, forwarders=(), peers=(), workloads=(), capacity=Sizes(),
)  # fmt: skip


class Change(NamedTuple):
    """From when and until when at most a name had an address (CLOCK_MONOTONIC, s)."""

    address: str
    begun: float  # it may have been answered from then on
    made: float  # nothing before it was answered any more from then on


def standing(number: int) -> VirtualService:
    high, low = divmod(number, 1 << 16)
    ip = f"10.{96 + high}.{low >> 8}.{low & 255}"
    return VirtualService("default", f"s{number}", (ip,), (VirtualPort("http", "TCP", 80, 0),))


def moving(number: int, version: int) -> VirtualService:
    """Return a service whose only endpoint has another address in each *version*."""
    address = f"10.244.{number}.{1 + version % 250}"
    member = Member("db-0", address, (5432,))
    ports = (VirtualPort("sql", "TCP", 5432, 0),)
    return VirtualService("default", f"m{number}", (), ports, (member,))


def name_of(service: VirtualService) -> str:
    return f"{service.name}.{service.namespace}.svc.{BASE.domain}."


class Scene:
    """BIND with the zones of many services, and what the agent knows of it."""

    def __init__(self, directory: Path, journals: Path, services: int) -> None:
        made = [standing(number) for number in range(1, services - MOVING + 1)]
        made += [moving(number, 0) for number in range(MOVING)]
        self.state = NodeState.of(BASE, made)
        self.names = [name_of(each) for each in made]
        self.versions = [0] * MOVING
        files = zone_files(self.state)
        for name, text in files.items():
            (directory / name.removeprefix("zones/")).write_text(text)
        for zone, text in local_files(BASE).items():
            (directory / f"{zone}.zone").write_text(text)
        (directory / "key").write_text(KEY)
        config = server_config(
            BASE,
            directory=str(directory),
            journals=str(journals),
            cache=str(directory),
            key_file=str(directory / "key"),
            port=PORT,
            local=str(directory),
        )
        self.zone = directory / f"{zones_of(BASE)[0]}.zone"
        self.server = bind(directory, config, PORT)
        self.reconciler = Reconciler(Bind(directory / "key", directory / "serials", port=PORT))

    def change(self, number: int) -> Change:
        """Let a moving service's endpoint be another one, as the agent does; return when."""
        self.versions[number] += 1
        service = moving(number, self.versions[number])
        services = changed(self.state.services, {service.key: service})
        self.state = replace(self.state, services=services)
        begun = time.monotonic()
        self.reconciler.apply(self.state, Only([service.key]))
        return Change(service.members[0].address, begun, time.monotonic())


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def lag_of_updates(scene: Scene, count: int) -> list[float]:
    """Return the seconds from each change to its answer on the wire."""
    found = []
    for turn in range(count):
        number = turn % MOVING
        change = scene.change(number)
        if address_of(PORT, name_of(moving(number, 0))) != change.address:
            raise SystemExit("bench: a change was made, and is not answered")
        found.append(time.monotonic() - change.begun)
        time.sleep(0.005)
    return found


def lag_of_reloads(server: NameServer, file: Path, count: int) -> list[float]:
    """Return the seconds from each changed file to the answer on the wire."""
    name = name_of(moving(0, 0))
    found = []
    for turn in range(count):
        before, address = address_of(server.port, name), f"10.244.0.{200 + turn}"
        lines = [
            line.replace(before, address) if line.startswith("m0.default.svc.") else line
            for line in file.read_text().splitlines(keepends=True)
        ]
        text = "".join(lines)
        serial = int(text.partition(" hostmaster.")[2].split()[1])
        start = time.monotonic()
        file.write_text(text.replace(f" {serial} 7200", f" {serial + 1} 7200", 1))
        server.reload()
        while address_of(server.port, name) != address:
            if time.monotonic() > start + 30:
                raise SystemExit(f"bench: {server.name} does not answer what its file says")
        found.append(time.monotonic() - start)
    return found


def asking(names: Sequence[str], rate: int, seconds: float) -> subprocess.Popen[str]:
    plan = json.dumps({"port": PORT, "names": names, "rate": rate, "seconds": seconds})
    command = [sys.executable, "-m", "bench.queries"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(plan)
    process.stdin.close()
    return process


def told(process: subprocess.Popen[str]) -> tuple[list[Asked], float]:
    assert process.stdout is not None
    asked, held_up = json.loads(process.stdout.read())
    process.wait()
    return [Asked(*each) for each in asked], held_up


def untrue(asked: Sequence[Asked], changes: dict[str, list[Change]]) -> Iterator[Asked]:
    """Yield the answers that were true at no moment between question and answer."""
    for each in asked:
        if each.answered and each.name in changes:
            history = changes[each.name]
            for index, change in enumerate(history):
                after = history[index + 1].made if index + 1 < len(history) else float("inf")
                if (
                    change.address == each.address
                    and change.begun <= each.answered
                    and (each.sent <= after)
                ):
                    break
            else:
                yield each


def under_load(scene: Scene, rate: int, seconds: float, changes: int) -> None:
    """Print what queries notice of changes, beside a run without any."""
    movers = [name_of(moving(number, 0)) for number in range(MOVING)]
    step = max(1, len(scene.names) // 2000)
    names = [name for pair in zip(scene.names[::step], movers * 20, strict=False) for name in pair]
    rows = []
    for per_second in (0, changes):
        history = {
            name: [Change(moving(n, scene.versions[n]).members[0].address, 0.0, 0.0)]
            for n, name in enumerate(movers)
        }
        lags = []
        process = asking(names, rate, seconds)
        start = time.monotonic() + 0.3
        for turn in range(int(per_second * seconds)):
            time.sleep(max(0.0, start + turn / per_second - time.monotonic()))
            number = turn % MOVING
            change = scene.change(number)
            history[movers[number]].append(change)
            lags.append(change.made - change.begun)
        asked, held_up = told(process)
        took = [1e3 * (each.answered - each.sent) for each in asked if each.answered]
        false = sum(1 for _ in untrue(asked, history)) + sum(each.rcode > 0 for each in asked)
        rows.append(took)
        print(
            f"{len(asked)} queries, {len(lags)} changes: {len(asked) - len(took)} lost, "
            f"{false} untrue; ms: median {statistics.median(took):.2f}, "
            f"99.9 % {percentile(took, 0.999):.2f}, slowest {max(took):.2f}"
            + (f"; a change 99 % {1e3 * percentile(lags, 0.99):.1f}" if lags else "")
            + f"; the asker was held up for {1e3 * held_up:.1f}"
        )
    quiet, busy = rows
    print(
        f"with changes: slowest {max(busy) / max(quiet):.2f} times that without, "
        f"99.9 % {percentile(busy, 0.999) / percentile(quiet, 0.999):.2f} times"
    )


def queries_a_second(server: NameServer, names: Path) -> str:
    if not shutil.which("dnsperf"):
        return "-"
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(names), "-l", "5",
               "-c", "4", "-q", "200"]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return f"{float(done.stdout.partition('Queries per second:')[2].split()[0]):,.0f}"


def compare(scene: Scene, directory: Path) -> None:
    """Print rates, lags and memory of each server with the same forward zone."""
    lags = lag_of_updates(scene, 300)  # before the others run, which take time to load
    asked = directory / "names"
    asked.write_text("".join(f"{name} A\n" for name in scene.names))
    others = []
    for number, start in enumerate((knot, unbound), 1):
        file = directory / f"copy{number}.zone"
        file.write_text(zone_files(scene.state)["zones/cluster.local.zone"])
        if (server := start(directory, BASE.domain, file, PORT + number)) is not None:
            others.append((server, file))
    print(f"{'':24} {'queries/s':>10} {'another answer after':>22} {'resident':>10}")
    try:
        rows = [(scene.server, lags)]
        for server, file in others:
            server.until_it_answers(scene.names[0])
            rows.append((server, lag_of_reloads(server, file, 5)))
        for server, lags in rows:
            shown = (
                f"{1e3 * statistics.median(lags):.1f}, 99 % {1e3 * percentile(lags, 0.99):.1f} ms"
            )
            rate = queries_a_second(server, asked)
            ratio = statistics.median(lags) / statistics.median(rows[0][1])
            print(
                f"{server.name:24} {rate:>10} {shown:>22} {server.resident_mb:>7.0f} MB"
                + (f"  ({ratio:.0f} times as long)" if server is not scene.server else "")
            )
    finally:
        for server, _ in others:
            server.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    new_network()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory(dir="/dev/shm") as journals,
    ):
        directory = Path(name)
        directory.chmod(0o755)
        scene = Scene(directory, Path(journals), options.services)
        try:
            scene.server.until_it_answers(scene.names[0])
            start = time.monotonic()
            scene.reconciler.apply(scene.state)
            print(
                f"{options.services} services, {len(zones_of(BASE))} zones; "
                f"all of it is read and compared in {time.monotonic() - start:.2f} s"
            )
            gc.freeze()
            compare(scene, directory)
            under_load(scene, options.queries, options.seconds, options.changes)
        finally:
            scene.server.close()


if __name__ == "__main__":
    main()
