"""The limits of a process that reads what others wrote."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundplane.errors import LimitReached
from groundplane.processes import limits
from groundplane.processes.limits import limited, memory_limit, share_of

GIB = 1 << 30
SETTING = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE)


@pytest.mark.parametrize(
    ("machine", "limit"),
    [
        (512 << 20, 384 << 20),
        (GIB, 512 << 20),
        (2 * GIB, GIB),
        (4 * GIB, 2 * GIB),
        (64 * GIB, 2 * GIB),
    ],
)
def test_a_process_may_have_half_of_the_machines_memory_within_bounds(
    machine: int, limit: int
) -> None:
    assert limit == share_of(machine)


def test_the_limit_of_this_machine_is_not_more_than_half_of_it() -> None:
    pages = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    assert memory_limit() <= max(pages // 2, 384 << 20)


def run(script: str) -> subprocess.CompletedProcess[str]:
    prelude = "from groundplane.processes import limits as p\np.CPU_S, p.LAST_WORDS_S = 1, 3\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + script], capture_output=True, text=True, check=False
    )


def test_a_child_that_spends_its_time_says_what_it_was_doing() -> None:
    done = run(
        "p.limit_this_process()\np.doing('reading big.yaml')\n"
        "try:\n    while True: sum(range(1000))\n"
        "except p.LimitReached as error: print(error)\n"
    )
    assert "over 1 s of CPU time are needed, while reading big.yaml\n" == done.stdout


def test_one_that_goes_on_is_killed() -> None:
    done = run(
        "p.limit_this_process()\n"
        "while True:\n    try:\n        while True: sum(range(1000))\n    except p.LimitReached: pass\n"
    )
    assert -signal.SIGKILL == done.returncode


def test_the_kernel_kills_the_child_before_the_agent() -> None:
    done = run("p.limit_this_process()\nprint(open('/proc/self/oom_score_adj').read())")
    assert 1000 == int(done.stdout)


def test_a_child_has_no_more_memory_than_its_limit() -> None:
    done = run(
        "p.memory_limit = lambda: 500 << 20\np.limit_this_process()\np.doing('reading big.yaml')\n"
        "try: bytearray(1 << 30)\nexcept MemoryError: print(p.out_of_memory())\n"
    )
    expected = "more memory is needed than the 500 MiB that it may have, while reading big.yaml\n"
    assert expected == done.stdout


def test_a_command_is_limited_while_it_reads_and_not_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [resource.getrlimit(each) for each in SETTING]
    monkeypatch.setattr(limits, "_step", "")
    handler = signal.getsignal(signal.SIGXCPU)
    with limited():
        assert memory_limit() == resource.getrlimit(resource.RLIMIT_AS)[0]
        assert 120 <= resource.getrlimit(resource.RLIMIT_CPU)[0] < 10_000
        with pytest.raises(LimitReached, match=r"^over 120 s of CPU time are needed$"):
            signal.raise_signal(signal.SIGXCPU)
    assert before == [resource.getrlimit(each) for each in SETTING]
    assert handler == signal.getsignal(signal.SIGXCPU)


def test_memory_that_a_command_does_not_get_is_an_error_in_words() -> None:
    done = run(
        "p.memory_limit = lambda: 500 << 20\n"
        "try:\n    with p.limited(): bytearray(1 << 30)\n"
        "except p.LimitReached as error: print(error)\n"
        "bytearray(1 << 30)\n"
    )
    assert "more memory is needed than the 500 MiB that it may have\n" == done.stdout
    assert not done.stderr
