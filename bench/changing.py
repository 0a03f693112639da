"""From a commit on the node to the kernel's acknowledgement, beside a whole compile in the same run.

    python -m bench.changing [--sizes 1000x10,10000x10,50000x10] [--changes 9]

As root: the rules are loaded into a network namespace of its own. A commit changes one line, the
port of a workload. Each compile is a process of its own, as the agent's; ratios are to the whole
compile of the same site.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.agent import Agent
from bench.catalogs import CLUSTER, NODE, NODES, SERVICE, WORKLOAD, write_catalog
from bench.network import new_network
from bench.scale import timed
from groundplane.allocate import LOCK_NAME, Lock, allocate, format_lock
from groundplane.compile.pipeline import read_catalog
from groundplane.processes.own_command import own_command
from groundplane.sources.export import export_tree
from groundplane.sources.git_command import Git

_LIST = 5_000  # services in one file
_OF_THE_LIST = 4  # workloads of each


# A process of its own: what a child uses counts at least as much as its parent at the fork.
_MEASURE = """\
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - start, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


class Done(NamedTuple):
    """What a compile took, and the snapshot that it printed."""

    seconds: float
    megabytes: int
    snapshot: bytes


def compiled(source: Path, cache: Path | None = None) -> Done:
    """Compile *source* in a child, with *cache* if given."""
    options = [] if cache is None else ["--cache", str(cache), "--cache-key", f"{cache}.key"]

    command = [sys.executable, "-c", _MEASURE, *own_command("compile", *options, str(source))]
    done = subprocess.run(command, check=True, capture_output=True)
    seconds, kilobytes = done.stderr.split()
    return Done(float(seconds), int(kilobytes) >> 10, done.stdout)


class Repository:
    """A repository with one file to change, and what a node exports of it."""

    def __init__(self, source: Path, file: str, exports: Path) -> None:
        self._source, self._file, self._exports = source, source / file, exports
        self._git = Git("bench", dict(os.environ), exports, 1 << 30, {})
        self._number = 0
        self.export: Path | None = None
        self._run("init", "-q", "-b", "main")

    def _run(self, *arguments: str) -> str:
        who = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        command = ["git", "-C", str(self._source), *who, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def commit(self) -> None:
        """Commit another port of the first workload in the file."""
        text = self._file.read_text()
        at = text.index("port: 8", text.index("kind: Workload"))
        self._number += 1
        self._file.write_text(f"{text[:at]}port: {8100 + self._number}{text[at + 10 :]}")
        self._run("add", "-A")
        self._run("commit", "-q", "-m", str(self._number))

    def write_export(self) -> Path:
        """Export what the last commit has, as the agent does."""
        tree = self._run("rev-parse", "HEAD^{tree}").strip()
        into = self._exports / str(self._number)
        export_tree(self._git, self._source / ".git", tree, into, self.export)
        self.export = into
        return into


def show(what: str, seconds: float, beside: float | None = None, limit: str = "") -> None:
    ratio = f"{beside / seconds:8.1f} x" if beside else " " * 10
    print(f"  {what:<56}{seconds * 1e3:9.0f} ms{ratio}  {limit}", flush=True)


def measure(services: int, endpoints: int, changes: int) -> None:
    """Show what one changed line takes in a site of 100 files."""
    print(f"{services:,} services x {endpoints} workloads in 100 files", flush=True)
    with site(partial(write_catalog, services=services, endpoints=endpoints)) as (source, scratch):
        _changes(source, "ns-7.yaml", scratch, changes, ("< 4 s, < 400 MB", "< 500 ms, < 150 MB"))


def measure_list(changes: int) -> None:
    """Show what one changed line takes in a List of many services."""
    print(f"a List of {_LIST:,} services in one file, {_OF_THE_LIST} workloads each", flush=True)
    with site(write_list) as (source, scratch):
        _changes(source, "workloads.yaml", scratch, changes, ("", ""))
    with site(write_list) as (source, scratch):
        _changes(source, "list.yaml", scratch, changes, ("", "< 1.5 s, < 250 MB"))


def _changes(source: Path, file: str, scratch: Path, changes: int, limits: tuple[str, str]) -> None:
    cache = scratch / "cache"
    repository = Repository(source, file, scratch / "exports")
    repository.commit()
    exported = repository.write_export()
    without = compiled(exported)
    show(f"a whole compile ({without.megabytes} MB)", without.seconds, limit=limits[0])
    first = compiled(exported, cache)
    show(f"  and what is kept for the next one ({first.megabytes} MB)", first.seconds)
    new_network()
    agent = Agent(first.snapshot)
    gc.collect()
    gc.freeze()
    rows, most = [], 0
    for _ in range(changes):
        repository.commit()
        export, exported = timed(repository.write_export)
        done = compiled(exported, cache)
        apply, _ = timed(partial(agent.site, done.snapshot))
        rows.append((export, done.seconds, apply))
        most = max(most, done.megabytes)
    agent.close()
    if compiled(exported).snapshot != done.snapshot:
        raise SystemExit("bench: a change came to something else than a whole compile")
    parts = [statistics.median(each) for each in zip(*rows, strict=True)]
    whole = statistics.median(map(sum, rows))
    show(
        f"one line of {file} changes, to the kernel ({most} MB)", whole, without.seconds, limits[1]
    )
    for name, part in zip(("export", "compile", "apply"), parts, strict=True):
        show(f"  {name}", part)
    nothing = compiled(exported, cache)
    show(f"nothing changes ({nothing.megabytes} MB)", nothing.seconds, without.seconds)
    _check(exported, scratch)


def _check(source: Path, scratch: Path) -> None:
    """Show what a check takes the first time, and the second."""
    environment = os.environ | {
        "XDG_CACHE_HOME": f"{scratch}/xdg",
        "XDG_STATE_HOME": f"{scratch}/x",
    }
    command = own_command("check", str(source))
    run = partial(subprocess.run, command, check=True, env=environment, capture_output=True)
    first, second = timed(run)[0], timed(run)[0]
    show("groundplane check, the first time", first)
    show("groundplane check, the second time", second, first, "5,000 x 4: > 5 x")


@contextmanager
def site(write: Callable[[Path], object]) -> Iterator[tuple[Path, Path]]:
    """Write a catalog and its lock; yield its directory, and one for what comes of it."""
    with tempfile.TemporaryDirectory() as name:
        source, scratch = Path(name) / "site", Path(name) / "scratch"
        source.mkdir()
        (scratch / "exports").mkdir(parents=True)
        write(source)
        lock = allocate(read_catalog(source), Lock()).lock
        (source / LOCK_NAME).write_text(format_lock(lock))
        yield source, scratch


def write_list(directory: Path) -> None:
    """Write services and one workload as items of a List, and the other workloads in a file."""
    (directory / "cluster.yaml").write_text(CLUSTER)
    nodes = [NODE.format(number=n, host=n + 1) for n in range(NODES)]
    (directory / "nodes.yaml").write_text("---\n".join(nodes))
    items = [SERVICE.format(number=n, space=n % 100) for n in range(_LIST)]
    items.append(WORKLOAD.format(number=0, index=0, space=0, node=0))
    listed = "".join("- " + each.rstrip().replace("\n", "\n  ") + "\n" for each in items)
    (directory / "list.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n{listed}")
    workloads = [
        WORKLOAD.format(number=n, index=i, space=n % 100, node=(n + i) % NODES)
        for n in range(_LIST)
        for i in range(_OF_THE_LIST)
        if n or i
    ]
    (directory / "workloads.yaml").write_text("---\n".join(workloads))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000x10,10000x10,50000x10")
    parser.add_argument("--changes", type=int, default=9)
    given = parser.parse_args()
    for size in given.sizes.split(","):
        services, endpoints = map(int, size.split("x"))
        measure(services, endpoints, given.changes)
    measure_list(given.changes)


if __name__ == "__main__":
    main()
