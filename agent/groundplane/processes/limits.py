"""Limits of a process that reads untrusted input: hostile input costs that process, not the node.

A process that exceeds its CPU time says what it was doing: the limit that only warns is below the
one that kills. When memory runs out, the kernel kills a child of the agent first.
"""

import gc
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from groundplane.errors import LimitReached

MOST_BYTES: Final = 2 << 30
LEAST_BYTES: Final = 384 << 20  # an interpreter and its libraries start in this
CPU_S: Final = 120
LAST_WORDS_S: Final = 5
OOM_SCORE: Final = 1000  # the highest, proc_pid_oom_score_adj(5)
_CGROUPS: Final = Path("/sys/fs/cgroup")

_step = ""


def doing(step: str) -> None:
    """Note what this process does from now on, as "reading site.yaml"."""
    global _step  # noqa: PLW0603  (a signal asks for it, wherever the process is)
    _step = step


def memory_limit() -> int:
    """Return how many bytes a process may use: half of the machine's memory, at most MOST_BYTES.

    A machine or control group with little memory has LEAST_BYTES for it.
    """
    found = [MOST_BYTES * 2]
    with suppress(OSError, ValueError):
        found.append(_total(Path("/proc/meminfo").read_text()))
    with suppress(OSError, ValueError):
        group = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
        for folder in (_CGROUPS / group, *(_CGROUPS / group).parents):
            if folder.is_relative_to(_CGROUPS):
                with suppress(OSError, ValueError):  # "max", and the root has no such file
                    found.append(int((folder / "memory.max").read_text()))
    return share_of(min(found))


def share_of(total: int) -> int:
    """Return the limit where the machine has *total* bytes of memory. Pure."""
    return max(LEAST_BYTES, min(MOST_BYTES, total // 2))


def _total(meminfo: str) -> int:
    return int(meminfo.partition("MemTotal:")[2].split()[0]) << 10


def limit_this_process() -> None:
    """Bound memory and CPU time of this process for good, and let the kernel kill it first.

    Garbage is not collected: a catalog has no cycles, and looking for some takes a third of the time.
    """
    memory = memory_limit()
    gc.disable()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + LAST_WORDS_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXCPU, _spent)
    with suppress(OSError):  # a kernel without it: the limit of memory holds all the same
        Path("/proc/self/oom_score_adj").write_text(f"{OOM_SCORE}")


@contextmanager
def limited() -> Iterator[None]:
    """Bound memory and CPU time of this process while the block runs.

    LimitReached says what it was doing when one of them was reached. Garbage is not collected.
    """
    collects = gc.isenabled()
    memory, cpu = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU)
    core = resource.getrlimit(resource.RLIMIT_CORE)
    used = resource.getrusage(resource.RUSAGE_SELF)
    before = signal.signal(signal.SIGXCPU, _spent)
    _lower(resource.RLIMIT_AS, memory, memory_limit())
    _lower(resource.RLIMIT_CPU, cpu, int(used.ru_utime + used.ru_stime) + CPU_S)
    _lower(resource.RLIMIT_CORE, core, 0)
    gc.disable()
    try:
        yield
    except MemoryError:
        raise LimitReached(out_of_memory()) from None
    finally:
        if collects:
            gc.enable()
        resource.setrlimit(resource.RLIMIT_AS, memory)
        resource.setrlimit(resource.RLIMIT_CPU, cpu)
        resource.setrlimit(resource.RLIMIT_CORE, core)
        signal.signal(signal.SIGXCPU, before)


def _lower(which: int, now: tuple[int, int], most: int) -> None:
    """Lower the soft limit alone, which can be raised again."""
    soft, hard = now
    resource.setrlimit(which, (most if soft < 0 else min(soft, most), hard))


def out_of_memory() -> str:
    """Return the message for insufficient memory."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = f"the {soft >> 20} MiB that it may have" if soft >= 0 else "there is"
    return f"more memory is needed than {limit}{_while()}"


def _spent(*_: object) -> NoReturn:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # it comes every second from now on
    raise LimitReached(f"over {CPU_S} s of CPU time are needed{_while()}")


def _while() -> str:
    return f", while {_step}" if _step else ""
