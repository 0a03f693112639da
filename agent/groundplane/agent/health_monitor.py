"""Detects failing workloads, by their probes and by the health file that another program writes."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from groundplane.agent.controller import Controller
from groundplane.agent.report import Report
from groundplane.agent.store import load_verdicts, save_verdicts
from groundplane.agent.timings import TIMINGS, Timings
from groundplane.agent.watching import changes
from groundplane.agent.workload_health import WorkloadHealth
from groundplane.errors import GroundplaneError, bounded
from groundplane.probes import Prober, doubtful, reachable
from groundplane.probes.execution import helper_at
from groundplane.probes.reachable import gateways
from groundplane.project.select_endpoints import Failing
from groundplane.site.blocks import Key
from groundplane.site.compiled import Probe
from groundplane.site.snapshot import Snapshot, changed_probes
from groundplane.sources.health_file import read_health

log = logging.getLogger(__name__)

EXEC_SOCKET: Final = Path("/run/groundplane-exec/socket")  # of the helper, where a node has one
_TOGETHER_S: Final = 0.2  # changes within it are saved in one write
_DOUBT_S: Final = 2.0  # how often held workloads are checked again
_NAMED: Final = 20  # failing workloads in the status
_PEERS: Final = 10  # so many other nodes are asked whether this one is cut off


class HealthMonitor:
    """Probes workloads as the site declares, watches the health file *file*, and applies both."""

    def __init__(
        self,
        node: str,
        file: Path,
        state_directory: Path,
        controller: Controller,
        report: Report,
        timings: Timings = TIMINGS,
    ) -> None:
        self._node, self._file, self._state_directory = node, file, state_directory
        self._controller, self._report = controller, report
        self._again = timings.watch_retry  # seconds before the file is read or watched again
        self._told: Failing = frozenset()  # by the file
        self._unread = False  # it could not be read the last time
        self._held: Failing = frozenset()  # failing, but this node may be at fault
        self._reconnected = 0.0  # when it reached others again, 0 while it does not
        self._probes: dict[Key, Probe] = {}
        self._awake = asyncio.Event()
        self._saved: Mapping[Key, bool] = load_verdicts(state_directory)
        self._saving: asyncio.Task[None] | None = None
        self._prober = Prober(
            node,
            lambda _: self._awake.set(),
            remembered=self._saved,
            run_exec=helper_at(EXEC_SOCKET) if EXEC_SOCKET.exists() else None,
        )
        controller.judge_by(self.failing_in)
        report.health = self.health

    async def close(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
        await self._prober.close()

    async def run(self) -> None:
        """Apply probe results until cancelled."""
        while True:
            pause = _DOUBT_S if self._held else self._again if self._unread else None
            try:
                async with asyncio.timeout(pause):
                    await self._awake.wait()
            except TimeoutError:
                if self._unread:
                    self.read()
            self._awake.clear()
            await self._judge()

    async def watch(self) -> None:
        """Follow the file until cancelled."""
        told = ""
        while True:
            why = ""
            try:
                self.read()
                async for _ in changes(self._file):
                    told = ""
                    self.read()
            except OSError as error:
                why = str(error)
            if why and why != told:
                log.warning("cannot watch %s: %s", self._file.parent, why)
            told = why
            await asyncio.sleep(self._again)

    def read(self) -> None:
        """Read the file; if it is unreadable, nothing changes, and reading is retried."""
        error = ""
        try:
            self._told = read_health(self._file) if self._file.exists() else frozenset()
        except (GroundplaneError, OSError) as problem:
            error = bounded(str(problem))
            if error != self._report.status.health_error:
                log.error("the health file is not used: %s", error)
        self._unread = bool(error)
        if error != self._report.status.health_error:
            self._report.tell(health_error=error)
        self._awake.set()

    def health(self) -> tuple[WorkloadHealth, ...]:
        """Return the health of every workload that is probed or that the file marks as failing."""
        found = []
        for key in sorted(self._probes.keys() | self._told):
            verdict = self._prober.verdict(key)
            if verdict is None or key in self._told:
                why = "as the health file says"
                found.append(WorkloadHealth(*key, key not in self._told, 0.0, why))
            else:
                held = key in self._held
                found.append(
                    WorkloadHealth(*key, verdict.passing, verdict.since, verdict.why, held)
                )
        return tuple(found)

    def failing_in(self, old: Snapshot | None, new: Snapshot) -> Failing:
        """Probe what *new*, the successor of *old*, declares; return its failing workloads.

        A workload that gains a probe while it runs passes until it is known to fail.
        """
        known: dict[Key, bool] = {}
        # `_judge` decides whether new failures count.
        unjudged = self._probes.keys() - self._controller.failing
        if old is None:
            self._probes = {probe.key: probe for probe in new.every_probe()}
        else:
            for key in changed_probes(old, new):
                probe = new.probe(key)
                if probe is None:
                    self._probes.pop(key, None)
                    continue
                if key not in self._probes and self._controller.concerned([key]):
                    known[key] = True
                self._probes[key] = probe
        self._prober.want(self._probes, known)
        self._awake.set()
        return self._told | (self._prober.failing - unjudged)

    async def _judge(self) -> None:
        """Apply the failing workloads, except those whose failure may be this node's own fault."""
        found = self._prober.failing
        self._held = await self._doubted(found)
        failing = self._told | (found - self._held)
        await self._controller.judge(failing, self._why)
        status = self._report.status
        names = tuple("/".join(key) for key in sorted(failing)[:_NAMED])
        found_now = (len(self._probes), len(failing), names, len(self._held))
        if found_now != (status.probes, status.failing, status.failing_workloads, status.held):
            probes, count, names, held = found_now
            self._report.tell(probes=probes, failing=count, failing_workloads=names, held=held)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save())

    async def _doubted(self, failing: Failing) -> Failing:
        """Return which of *failing* may only appear to fail, because this node reaches nobody."""
        fallen = failing - self._controller.failing
        concerned, stumbling = self._controller.concerned, self._prober.stumbling
        doubt = doubtful(self._node, self._probes, failing, stumbling, fallen, concerned)
        if not doubt or await reachable(await self._neighbours()):
            return self._unchecked(failing)
        self._reconnected = 0.0
        if not self._held:
            message = (
                "workloads of several services fail their probes at once, and this node reaches "
                "neither a gateway nor another node: they stay endpoints"
            )
            self._report.event("HeldEndpoints", "Node", message, warning=True)
        return doubt

    def _unchecked(self, failing: Failing) -> Failing:
        """Return held workloads that still fail by a check from before this node reached others.

        Those checks say nothing about the workloads; new ones begin at once.
        """
        if self._held and not self._reconnected:
            self._reconnected = asyncio.get_running_loop().time()
            self._prober.check_now(self._held)
            message = "this node reaches others again; what was held is checked once more"
            self._report.event("ReleasedEndpoints", "Node", message)
        found = self._prober.unchecked(self._held & failing, self._reconnected)
        if not found:
            self._reconnected = 0.0
        return found

    async def _neighbours(self) -> tuple[str, ...]:
        state = self._controller.state
        peers = [each.addresses[0] for each in state.base.peers] if state else []
        return (*await asyncio.to_thread(gateways), *peers[:_PEERS])

    def _why(self, workload: Key) -> str:
        """Return why *workload* fails, or passes."""
        verdict = self._prober.verdict(workload)
        if verdict is None or workload in self._told:
            return "as the health file says"
        return f"its probe {'passes' if verdict.passing else 'fails'}: {verdict.why}"

    async def _save(self) -> None:
        """Save the verdicts for the next start, so that nothing flaps then; batch changes."""
        while True:  # changes during a write are written next
            await asyncio.sleep(_TOGETHER_S)
            failing = self._prober.failing
            verdicts = {key: key not in failing for key in self._probes}
            if verdicts == self._saved:
                return
            try:
                await asyncio.to_thread(save_verdicts, self._state_directory, verdicts)
            except OSError as error:
                log.warning("cannot save probe results: %s", error)
                return
            self._saved = verdicts
