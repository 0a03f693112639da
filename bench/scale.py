"""The dataplane at scale, by the agent's own path: event in, kernel acknowledged.

    python -m bench.scale [--sizes 1000x10,10000x10] [--changes 300] [--no-nft]

As root: every ruleset is loaded into a network namespace of its own, which goes with the process.
An event is a change of health, or the bytes of a new snapshot. Times are wall-clock; ratios are to
`nft -f` on the same kernel in the same run, and are what to compare between machines.
"""

import argparse
import gc
import random
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import TypeVar

import msgspec

from bench.agent import NOBODY, NODE, Agent
from bench.network import Way, around, connect, new_network
from bench.sites import site
from groundplane.agent import loop  # noqa: F401  (its memory is the agent's)
from groundplane.node.config_files import node_files
from groundplane.project import (
    WorkloadIndex,
    project_snapshot,
)
from groundplane.site.blocks import Block, Key, Kind, LineKey
from groundplane.site.compiled import Service
from groundplane.site.encoding import blocks_of, encode, join
from groundplane.site.snapshot import decode

T = TypeVar("T")


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that *function* took, and what it returned."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def show(what: str, seconds: float, beside: float | None = None, limit: str = "") -> None:
    ratio = f"{beside / seconds:9.1f} x" if beside else " " * 11
    print(f"  {what:<58}{seconds * 1e3:10.2f} ms{ratio}  {limit}", flush=True)


def spread(
    what: str,
    agent: Agent,
    events: Sequence[Callable[[], object]],
    beside: float | None,
    limit: str,
) -> None:
    """Run *events* and show median and 99th percentile, of all and of the dataplane's part."""
    whole, part = [], []
    for event in events:
        agent.plane.seconds = 0.0
        whole.append(timed(event)[0])
        part.append(agent.plane.seconds)
    for name, values in ((what, whole), ("  of it in the dataplane", part)):
        ninety_ninth = statistics.quantiles(values, n=100)[98] if len(values) > 1 else values[0]
        show(f"{name} (median)", statistics.median(values), beside if values is whole else None)
        show(f"{name} (99 %)", ninety_ninth, limit=limit if values is whole else "")


def replaced(encoded: bytes, changes: dict[Key, Service | None]) -> bytes:
    """Return the snapshot *encoded* with some services replaced, or, where it says None, left out."""
    before = decode(encoded)
    firsts = [block.first for block in before.blocks]
    blocks: dict[LineKey, list[Block]] = {block.first: [block] for block in before.blocks}
    for first in {firsts[bisect_right(firsts, LineKey(Kind.SERVICE, *key)) - 1] for key in changes}:
        lines = (line.partition(b"\t")[2] for line in blocks[first][0].lines.splitlines())
        services = [msgspec.json.decode(line, type=Service) for line in lines]
        kept = [new for each in services if (new := changes.get(each.key, each)) is not None]
        blocks[first] = list(blocks_of(kept))
    return join(before.head, [block for each in blocks.values() for block in each])


def moved(service: Service) -> Service:
    """Return *service* with another address of its first endpoint."""
    other = service.endpoints.ipv4[8:16][:4] + "fffe"
    return msgspec.structs.replace(
        service,
        endpoints=msgspec.structs.replace(
            service.endpoints, ipv4=other + service.endpoints.ipv4[8:]
        ),
    )


def load(encoded: bytes) -> float:
    """Return the best of three loads into an empty kernel, from the undecoded snapshot."""
    found = []
    for _ in range(3):
        new_network()
        gc.collect()
        gc.disable()
        seconds, agent = timed(partial(Agent, encoded))
        gc.enable()
        agent.close()
        found.append(seconds)
    return min(found)


def nft(encoded: bytes) -> tuple[float, float]:
    """Return what `nft -f` takes for the same ruleset as a file, and then for one element."""
    state = project_snapshot(decode(encoded), NODE, NOBODY)
    with tempfile.NamedTemporaryFile("w", suffix=".nft") as file:
        file.write(node_files(state)["nftables.nft"])
        file.flush()
        new_network()
        whole = timed(lambda: subprocess.run(["nft", "-f", file.name], check=True))[0]
    one = "add element ip groundplane nodes { 203.0.113.1 }\n"
    run = partial(subprocess.run, ["nft", "-f", "-"], input=one, text=True, check=True)
    return whole, timed(run)[0]


def changes(agent: Agent, encoded: bytes, count: int, *, mixed: bool, beside: float | None) -> None:
    """Show what each kind of change takes."""
    services = list(agent.snapshot.every_service())
    some = random.Random(1).sample(services, min(count, len(services)))  # noqa: S311
    index = WorkloadIndex(agent.snapshot)

    def toggles() -> Iterator[Callable[[], None]]:
        for each in some:
            down = NOBODY | {(each.namespace, each.endpoints.workloads[0])}
            yield partial(agent.health, index, down)
            yield partial(agent.health, index, NOBODY)

    spread("an endpoint fails, or comes back", agent, list(toggles()), beside, "99 % < 5 / 1 ms")

    def steps(make: Callable[[Service], dict[Key, Service | None]]) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = []
        for each in some[: max(count // 6, 20)]:
            found += [
                partial(agent.site, replaced(encoded, make(each))),
                partial(agent.site, encoded),
            ]
        return found

    spread("an endpoint has another address, or the old one", agent,
           steps(lambda s: {s.key: moved(s)}), beside, "99 % < 5 / 1 ms")  # fmt: skip
    spread("a service goes, or comes", agent, steps(lambda s: {s.key: None}), beside,
           "99 % < 5 ms")  # fmt: skip
    if mixed:
        ranged = cycle(each for each in services if each.source_ranges)
        spread("source ranges of a service change", agent,
               steps(lambda _: _other_ranges(next(ranged))), beside, "< 10 ms")  # fmt: skip
    part = services[:: 100 if len(services) >= 100 else 1]
    many = replaced(encoded, {each.key: moved(each) for each in part})
    spread("1 % of all services are replaced", agent,
           [partial(agent.site, many), partial(agent.site, encoded)] * 5, None, "< 100 ms")  # fmt: skip
    nothing = [partial(agent.health, index, NOBODY)] * 20
    spread("nothing changed", agent, nothing, None, "< 1 ms")


def _other_ranges(service: Service) -> dict[Key, Service | None]:
    changed = msgspec.structs.replace(service, source_ranges=("10.0.0.0/9", "192.0.2.0/26"))
    return {service.key: changed}


def latency(agent: Agent, times: int, *, mixed: bool) -> None:
    """Show what connecting to a service takes, beside connecting to an endpoint by the same node."""
    services = list(agent.snapshot.every_service())
    plain = next(s for s in services if len(s.ports) == 1 and s.ports[0].protocol == "TCP"
                 and not (s.load_balancer_ips or s.affinity_seconds))  # fmt: skip
    client, endpoint = "10.250.0.1", plain.endpoints.rows()[0].ipv4
    ways = [
        Way("an endpoint, by a router without rules", "198.18.3.1", "198.18.4.2", 8080),
        Way("an endpoint directly, by the loaded node", client, endpoint, 8080),
        Way("a cluster IP", client, plain.cluster_ips[0], 80),
        Way("a cluster IP, from outside: masqueraded", "198.51.100.1", plain.cluster_ips[0], 80),
    ]
    if mixed:
        sticky = next(s for s in services if s.affinity_seconds)
        ranged = next(s for s in services if s.source_ranges)
        ways += [
            Way("a cluster IP with session affinity", client, sticky.cluster_ips[0], 80),
            Way("a load balancer with source ranges", client, ranged.load_balancer_ips[0], 80),
        ]
    found = {name: statistics.median(seconds) for name, seconds in connect(ways, times).items()}
    direct = found[ways[1].name]
    for way in ways:
        seconds = found[way.name]
        limit = "< 1.10 plain, < 1.15 with features" if way is ways[2] else ""
        print(f"  connecting to {way.name:<44}{seconds * 1e6:10.1f} us{seconds / direct:9.3f} x  "
              f"{limit}", flush=True)  # fmt: skip


def measure(services: int, endpoints: int, count: int, *, mixed: bool, with_nft: bool) -> float:
    """Show all there is of one size; return the seconds of its load."""
    encoded = encode(site(services, endpoints, mixed=mixed))
    gc.collect()
    gc.freeze()
    print(f"{services:,} services x {endpoints} endpoints, {'mixed' if mixed else 'plain'}"
          f" ({len(encoded) / 1e6:.1f} MB of snapshot)", flush=True)  # fmt: skip
    seconds = load(encoded)
    whole, one = nft(encoded) if with_nft else (None, None)
    show("loaded into an empty kernel, from the undecoded snapshot", seconds, whole,
         "10,000x10: < 500 plain, < 1000 mixed")  # fmt: skip
    if whole and one:
        show("  beside: `nft -f` of that ruleset, already rendered", whole)
        show("  beside: `nft -f` of one element into it", one)
    new_network()
    agent = Agent(encoded)
    gc.collect()
    gc.freeze()
    gc.disable()
    changes(agent, encoded, count, mixed=mixed, beside=one)
    with around():
        latency(agent, 1500, mixed=mixed)
    agent.close()
    resident(encoded)
    return seconds


def resident(encoded: bytes) -> None:
    """Show the memory of an agent at rest, in a process that has nothing else."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(encoded)
        file.flush()
        command = [sys.executable, "-m", "bench.resting", file.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    limits = "10,000x10: < 80, 50,000x10: < 600"
    print(
        f"  {'memory of the agent at rest':<58}{float(done.stdout):10.0f} MB{limits:>52}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000x10,10000x10,50000x10,44125x3")
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--kinds", default="plain,mixed")
    parser.add_argument("--no-nft", action="store_true", help="leave out what it is compared with")
    given = parser.parse_args()
    loads: dict[str, list[str]] = {kind: [] for kind in given.kinds.split(",")}
    for size in given.sizes.split(","):
        services, endpoints = map(int, size.split("x"))
        for kind in given.kinds.split(","):
            mixed = kind == "mixed"
            seconds = measure(
                services, endpoints, given.changes, mixed=mixed, with_nft=not given.no_nft
            )
            loads[kind].append(f"{size}: {seconds * 1e6 / (services * endpoints):.2f}")
    for kind, each in loads.items():
        print(f"loading, {kind}, in us an endpoint: {', '.join(each)}")


if __name__ == "__main__":
    main()
