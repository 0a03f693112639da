"""All tests in stages: python -m tests.stages

Labs run side by side: VMs keep one core busy with emulation, while most tests of nodes wait.
Without memory for that, all stages run one after another.

The output of a stage is printed as one block when it ends. The first failure interrupts all other
stages, which then remove their labs.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_MEMORY: Final = 8 << 30  # what the stages need that run at the same time, in bytes
_PATIENCE_S: Final = 120.0  # for labs to be removed


@dataclass(frozen=True)
class Stage:
    """A command, with these variables besides those of the environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments)


def _labs(*arguments: str) -> tuple[str, ...]:
    return _pytest("--durations=10", *arguments)


_GUEST: Final = "tests/vms/test_ipvs.py"
# More workers than cores: kernel tests wait for what is dropped. A file stays with one worker, so that
# what its tests share is built once.
_QUICK: Final = _pytest("-n", "3", "--dist", "loadfile", "-m", "not nodes and not vms and not slow")
UNIT: Final = Stage("unit", _QUICK)
# Long tests stand together in few files: a worker that has ended takes over from others.
_SLOW: Final = ("-n", "4", "--dist", "worksteal", "--durations=10", "-m", "slow and not vms")
# Lanes of one row run side by side; the next row begins when they have ended. Tests of the kernel and
# of times come first, since they share the machine with nobody.
ROWS: Final[tuple[tuple[tuple[Stage, ...], ...], ...]] = (
    (
        (
            Stage("quick", _QUICK, {"HYPOTHESIS_PROFILE": "thorough"}),
            Stage("slow", _pytest(*_SLOW)),
        ),
    ),
    (
        (Stage("vms", _labs("-m", "vms and not slow", f"--ignore={_GUEST}")),),
        (Stage("nodes", _labs("-m", "nodes", "tests/nodes")),),
        (
            Stage("labs", _labs("-m", "nodes", "--ignore=tests/nodes")),
            Stage("guest", _labs("-m", "vms and not slow", _GUEST)),
        ),
    ),
)


@dataclass(frozen=True)
class Ended:
    """*status* is the exit status; None: interrupted, or not begun, since another stage failed."""

    stage: Stage
    status: int | None
    seconds: float = 0.0

    def __str__(self) -> str:
        said = {0: "passed", None: "interrupted"}.get(self.status, f"failed ({self.status})")
        return f"{self.stage.name:10} {said:12} {self.seconds:6.0f} s"


class Run:
    """The stages that run now, and what became of those that ended."""

    def __init__(self) -> None:
        self.ended: list[Ended] = []
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def lane(self, stages: Sequence[Stage]) -> None:
        for stage in stages:
            ended = self._stage(stage)
            with self._lock:
                self.ended.append(ended)
            if ended.status != 0:
                self.stop()

    def stop(self) -> None:
        """Interrupt every stage as Ctrl-C does, so that it removes its labs; then kill it."""
        self._stopped.set()
        with self._lock:
            running = tuple(self._running)
        for process in running:
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + _PATIENCE_S
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            _signal(process, signal.SIGKILL)

    def _stage(self, stage: Stage) -> Ended:
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            with self._lock:
                if self._stopped.is_set():
                    return Ended(stage, None)
                print(f"{stage.name}: started", flush=True)
                process = subprocess.Popen(
                    stage.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | stage.environment,
                    start_new_session=True,
                )
                self._running.add(process)
            status = process.wait()
            seconds = time.monotonic() - began
            with self._lock:
                self._running.discard(process)
                was_stopped = self._stopped.is_set()
                _print_block(stage, output.fileno())
        return Ended(stage, None if was_stopped else status, seconds)


def _print_block(stage: Stage, output: int) -> None:
    print(f"\n===== {stage.name}: {' '.join(stage.command)}", flush=True)
    with open(output, "rb", closefd=False) as file:
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def available() -> int:
    """Return the memory that programs can have, in bytes (proc_meminfo(5))."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) << 10


def run_rows(rows: Sequence[Sequence[Sequence[Stage]]], *, side_by_side: bool) -> list[Ended]:
    """Return what became of every stage. KeyboardInterrupt ends all of them."""
    run = Run()
    if not side_by_side:
        rows = [[lane] for row in rows for lane in row]
    try:
        for row in rows:
            threads = [threading.Thread(target=run.lane, args=(lane,)) for lane in row]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        run.stop()
    return run.ended


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    alone = {
        stage.name: stage
        for stage in (UNIT, *(each for row in ROWS for lane in row for each in lane))
    }
    parser = argparse.ArgumentParser(prog="python -m tests.stages", description="Run all tests.")
    parser.add_argument("stage", nargs="?", choices=alone, help="run this one alone")
    if name := parser.parse_args().stage:
        stage = alone[name]
        return subprocess.call(stage.command, env=os.environ | stage.environment)
    # A shell starts its background jobs with SIGINT ignored, and the stages would inherit that.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    side_by_side = available() >= _MEMORY
    if not side_by_side:
        print(f"less than {_MEMORY >> 30} GiB are available: one stage at a time", flush=True)
    began = time.monotonic()
    try:
        ended = run_rows(ROWS, side_by_side=side_by_side)
    except KeyboardInterrupt:
        return 130
    print(*("", *ended, f"{time.monotonic() - began:.0f} s in all"), sep="\n", flush=True)
    return 0 if all(each.status == 0 for each in ended) else 1


if __name__ == "__main__":
    sys.exit(main())
