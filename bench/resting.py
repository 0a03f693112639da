"""The memory of an agent at rest: a process that has nothing else takes a snapshot.

python -m bench.resting FILE
"""

import gc
import re
import sys
from pathlib import Path

from bench.agent import Agent
from bench.network import new_network
from groundplane.agent.memory import settle, use_one_arena
from groundplane.project import WorkloadIndex


def rest(file: str) -> float:
    """Return the memory in MB of this process once it has taken the snapshot in *file*."""
    use_one_arena()
    new_network()
    gc.disable()
    agent = Agent(Path(file).read_bytes())
    index = WorkloadIndex(agent.snapshot)
    settle()
    used = memory_mb()
    del index
    return used


def memory_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


if __name__ == "__main__":
    print(rest(sys.argv[1]))
