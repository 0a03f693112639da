"""An agent in a process of its own that is killed, as by SIGKILL, at the Nth step that others see.

A step is each moment before and each after something that a next agent finds: a transaction that
the kernel is sent, a route or an address that is set, a kept site that is synced or
renamed. Without N steps it lives on. It is forked, which starts it in a moment.
"""

import asyncio
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundplane.agent import source_watcher
from groundplane.agent.loop import Agent, Settings
from groundplane.compile.pipeline import compile_source
from groundplane.dataplanes import Dataplane
from groundplane.dataplanes.conntrack import StaleFlows
from groundplane.dataplanes.dns import Bind
from groundplane.dataplanes.links import Links
from groundplane.errors import GroundplaneError, SourceError
from groundplane.kernel import netlink
from groundplane.proxies.node import planes
from groundplane.site.encoding import encode
from groundplane.sources import source_of
from tests.kernel.living import Living
from tests.kernel.world import enter
from tests.waiting import until


class Steps:
    """Counts, and ends the process at *last*."""

    def __init__(self, last: int) -> None:
        self._last, self._count = last, 0
        self._saving = False

    def step(self) -> None:
        self._count += 1
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, *, saving: bool = False) -> None:
        """Let every call of a function be two steps; with *saving*, only while a site is kept."""
        function = getattr(owner, name)

        def stepping(*arguments: Any, **options: Any) -> Any:
            if saving and not self._saving:
                return function(*arguments, **options)
            self.step()
            try:
                return function(*arguments, **options)
            finally:
                self.step()

        setattr(owner, name, stepping)

    def saving(self, save: Callable[..., None]) -> Callable[..., None]:
        def saved(*arguments: Any) -> None:
            self._saving = True
            try:
                save(*arguments)
            finally:
                self._saving = False

        return saved


class Forked:
    """An agent as a child of this process, with *names* as its DNS. It ends at *step*, 0 for never."""

    def __init__(self, agent: Living, step: int = 0, names: Bind | None = None) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                enter(agent.netns)
                _run(agent, Steps(step), names)
            except BaseException:  # noqa: BLE001 - it is to be seen in the log
                traceback.print_exc()
            finally:
                os._exit(0)

    def ended(self) -> bool:
        return os.waitpid(self.pid, os.WNOHANG)[0] == self.pid

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        until(self.ended, 10, "it ends", every=0.005)


def _run(agent: Living, steps: Steps, names: Bind | None) -> None:
    log = os.open(agent.root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    steps.around(netlink.Socket, "commit")
    steps.around(Links, "_change")
    steps.around(Links, "_give")
    steps.around(os, "fsync", saving=True)
    steps.around(os, "replace", saving=True)
    setattr(source_watcher, "save_site", steps.saving(source_watcher.__dict__["save_site"]))  # noqa: B010
    setattr(source_watcher, "compile_in_child", _compiled)  # noqa: B010

    lanes: list[list[Dataplane[Any, Any]]] = [planes(StaleFlows())]
    if names is not None:
        lanes.append([names])

    async def live() -> None:
        source = source_of(str(agent.source), agent.state / "source")
        health = Path(agent.root / "health.yaml")
        settings = Settings("n1", source, health, agent.state, agent.runtime)
        await Agent(settings, lanes).run()

    asyncio.run(live())


async def _compiled(source: Path, *_: object) -> bytes:
    try:
        return encode(compile_source(source))
    except GroundplaneError as error:
        raise SourceError(str(error)) from None
