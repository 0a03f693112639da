"""Many changes, each of them brought: prints memory in KiB and descriptors, ten times.

python -m tests.kernel.soak DIRECTORY CHANGES
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from groundplane.agent.controller import Controller
from groundplane.agent.report import Report
from groundplane.agent.status import PlaneStatus, Status
from groundplane.compile.pipeline import compile_source
from groundplane.dataplanes import Dataplane
from groundplane.dataplanes.conntrack import StaleFlows
from groundplane.proxies.node import planes_of_the_proxies
from groundplane.site.encoding import encode

TIMES = 10


def used() -> tuple[int, int]:
    """Return the resident memory of this process in KiB, and how many descriptors it has."""
    (memory,) = re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(memory), len(os.listdir("/proc/self/fd"))


async def change(controller: Controller, sites: tuple[bytes, bytes], changes: int) -> None:
    """Let a workload fail and pass; every fiftieth time, let a service come or go."""
    for number in range(changes):
        if number % 50 == 49:
            await controller.take(sites[number // 50 % 2])
        else:
            failing = {("default", "a")} if number % 2 else set[tuple[str, str]]()
            await controller.judge(frozenset(failing), lambda _: "the soak says so")
        if number % (changes // TIMES) == (changes // TIMES) - 1:
            print(*used(), flush=True)


def main(directory: Path, changes: int) -> None:
    site = compile_source(directory / "site")
    sites = encode(msgspec.structs.replace(site, services=site.services[:-1])), encode(site)
    planes: list[Dataplane[Any, Any]] = [*planes_of_the_proxies(), StaleFlows()]
    names = tuple(PlaneStatus(plane.name) for plane in planes)
    status = Status("n1", "soak", os.getpid(), 0.0, "", planes=names)

    async def live() -> None:
        controller = Controller("n1", [planes], Report(status, directory / "run"))
        await controller.take(sites[0])
        await change(controller, sites, changes)
        controller.close()

    asyncio.run(live())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
