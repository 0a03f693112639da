"""What tests of the agent share: a whole agent with real files, and dataplanes in memory."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from groundplane.agent.loop import Agent, Settings
from groundplane.agent.status import Status, read_status
from groundplane.agent.store import SITE_FILE
from groundplane.agent.timings import Timings
from groundplane.compile.pipeline import compile_source
from groundplane.dataplanes.in_memory import InMemory
from groundplane.errors import GroundplaneError, SourceError
from groundplane.project.state import NodeBase, Part, VirtualService
from groundplane.site.encoding import encode
from groundplane.sources.directory import DirectorySource
from tests.catalogs import WITHOUT_DNS, write

FILES = {
    "site.yaml": WITHOUT_DNS.replace(
        "[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]"
    ),
    "web.yaml": """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.5, ports: [{port: 80}]}
""",
    "addresses.lock": "Node/n1 10.244.0.0/24\nService/default/web 10.96.0.5\n",
}
SECOND = FILES["web.yaml"].replace("web", "api").replace(".0.5", ".0.6")
LOCK = FILES["addresses.lock"] + "Service/default/api 10.96.0.6\n"


def _cluster_ips(_base: NodeBase, part: Part) -> Mapping[str, str]:
    return dict.fromkeys(part.cluster_ips, part.name) if isinstance(part, VirtualService) else {}


class Plane(InMemory[str, str]):
    """Holds each cluster IP with its service's name."""

    def __init__(self, name: str = "fake") -> None:
        super().__init__(name, _cluster_ips)


class Place:
    """The directories of one agent, and what it says about itself."""

    def __init__(self, root: Path) -> None:
        self.source, self.state, self.runtime = root / "etc/site", root / "state", root / "run"
        self.health = root / "etc" / "health.yaml"
        for each in (self.source, self.state, self.runtime):
            each.mkdir(parents=True)
        write(self.source, FILES)
        self.timings = Timings(retries=(0.1,))

    @property
    def status(self) -> Status:
        return read_status(self.runtime)

    @property
    def has_kept_a_site(self) -> bool:
        """Whether the next start has one; a site is in use a moment before it is kept."""
        return (self.state / SITE_FILE).exists()

    def run(self, *planes: Plane, steps: Callable[[], Any], node: str = "n1") -> None:
        """Run an agent until the coroutine *steps* is done, then tell it to stop."""

        async def live() -> None:
            source = DirectorySource(self.source)
            settings = Settings(
                node, source, self.health, self.state, self.runtime, 0.2, timings=self.timings
            )
            running = asyncio.create_task(Agent(settings, [planes]).run())
            try:
                await asyncio.wait_for(steps(), 60)
                assert not running.done(), "the agent ended by itself"
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait_for(running, 60)

        asyncio.run(live())


async def compile_here(source: Path, *_: object) -> bytes:
    try:
        return encode(compile_source(source))
    except GroundplaneError as error:
        raise SourceError(str(error)) from None


async def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds; files that are not there yet make it false."""
    while True:
        try:
            if condition():
                return
        except Exception:  # noqa: S110, BLE001
            pass
        await asyncio.sleep(0.02)
