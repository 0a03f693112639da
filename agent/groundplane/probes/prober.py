"""`Prober`: checks all workloads, each at its time, and reports changed verdicts.

One agenda (a heap) has what is due and what has taken too long; one timer of the event loop, on a
grid of 10 ms, wakes for it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Final, NamedTuple, Protocol

from groundplane.probes import schedule
from groundplane.probes.outcome import ProbeOutcome, timed_out
from groundplane.probes.poller import PolledCheck, Poller
from groundplane.probes.talk import conversation
from groundplane.probes.verdict import State, after
from groundplane.site.compiled import Probe

ProbeKey = tuple[str, str]  # namespace and name of a workload
RunExec = Callable[[Probe], Awaitable[tuple[bool, str]]]

IN_FLIGHT: Final = 500  # checks at a time, and descriptors; what is due beyond that waits
_GRID_S: Final = 0.01
_TOGETHER_S: Final = 0.01  # changes within it are handed over in one call


class Verdict(NamedTuple):
    """What is known of a workload: *since* is wall-clock time, *seconds* what its last check took.

    *why* is the last check's reason; *failures* counts how many in a row have failed up to it.
    """

    passing: bool
    since: float
    why: str
    seconds: float
    failures: int


class _Underway(Protocol):
    def abort(self) -> None: ...


class _Watched:
    """One workload that is probed."""

    __slots__ = (
        "answered", "began", "check", "due", "key", "phase", "probe", "reason", "seconds", "since",
        "started", "state",
    )  # fmt: skip

    def __init__(self, probe: Probe, phase: float, started: float, *, passing: bool) -> None:
        self.key = probe.key
        self.probe = probe
        self.phase = phase
        self.started = started
        self.state = State(passing=passing)
        self.since = time.time()
        self.reason = "not checked yet"
        self.began = started
        self.answered = started  # when the last check that has ended began
        self.seconds = 0.0
        self.check: _Underway | None = None
        self.due = 0  # the number of the entry in the agenda that is good, 0 for none

    @property
    def verdict(self) -> Verdict:
        state, why = self.state, self.reason
        if state.earned is not None and not state.passing:
            why = f"{why}, but held back: it failed {len(state.falls)} times in ten minutes"
        return Verdict(state.passing, self.since, why, self.seconds, max(-state.run, 0))


# Time, sequence number, workload; the check that times out then, None if a check starts then.
_Entry = tuple[float, int, _Watched, _Underway | None]


class Prober:
    """Probes what `want` says, from *node*; made and used in a running event loop.

    *on_change* gets the verdicts that have come to pass or to fail since its last call; `failing`
    is up to date then. It is not called for what `want` itself brings about. *remembered* are
    verdicts of an earlier run: who passed then passes until it fails as often as its probe says.
    Without *run_exec*, exec probes pass.
    """

    def __init__(
        self,
        node: str,
        on_change: Callable[[Mapping[ProbeKey, Verdict]], None],
        *,
        remembered: Mapping[ProbeKey, bool] | None = None,
        run_exec: RunExec | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._node = node
        self._on_change = on_change
        self._remembered = dict(remembered or {})
        self._run_exec = run_exec
        self._most = in_flight
        self._loop = asyncio.get_running_loop()
        self._poller = Poller(self._go_on)
        self._watched: dict[ProbeKey, _Watched] = {}
        self._failing: set[ProbeKey] = set()
        self._stumbling: set[ProbeKey] = set()
        self._agenda: list[_Entry] = []
        self._numbers = count(1)
        self._waiting: deque[_Watched] = deque()  # due, but too many are under way
        self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None
        self._changed: set[ProbeKey] = set()
        self._closed = False

    @property
    def failing(self) -> frozenset[ProbeKey]:
        """The workloads that do not pass, including those not checked yet."""
        return frozenset(self._failing)

    @property
    def stumbling(self) -> frozenset[ProbeKey]:
        """The workloads whose last check failed, whether they still pass or not."""
        return frozenset(self._stumbling)

    def verdict(self, key: ProbeKey) -> Verdict | None:
        """Return the verdict of one workload; None if it is not probed."""
        watched = self._watched.get(key)
        return watched.verdict if watched else None

    @property
    def verdicts(self) -> dict[ProbeKey, Verdict]:
        return {key: each.verdict for key, each in self._watched.items()}

    def unchecked(self, keys: Collection[ProbeKey], since: float) -> frozenset[ProbeKey]:
        """Return those of *keys* of which no check has ended that began after *since*.

        *since* is a time of the event loop.
        """
        watched = ((key, self._watched.get(key)) for key in keys)
        return frozenset(key for key, each in watched if each and each.answered < since)

    def check_now(self, keys: Collection[ProbeKey]) -> None:
        """Start a check of each of *keys* at once; a running check is aborted for it."""
        for each in filter(None, map(self._watched.get, keys)):
            if each.check is not None:
                self._in_flight -= 1
                each.check.abort()
                each.check = None
            self._plan(each, self._loop.time())
        self._go_on()

    def want(
        self, probes: Mapping[ProbeKey, Probe], remembered: Mapping[ProbeKey, bool] | None = None
    ) -> None:
        """Probe *probes*, and nothing else.

        A probe that stays is not disturbed, and one of the same target keeps its verdict. A new
        one has that of *remembered* or of the constructor, else it does not pass until it is
        checked, which is at once.
        """
        self._remembered |= remembered or {}
        for key in self._watched.keys() - probes.keys():
            self._stop(self._watched.pop(key))
        for key, probe in probes.items():
            known = self._watched.get(key)
            if known is None:
                self._begin(probe, passing=self._remembered.pop(key, False))
            elif known.probe is not probe and known.probe != probe:
                self._replace(known, probe)
        self._remembered.clear()
        self._go_on()

    async def close(self) -> None:
        """Stop all checks and close all that is open."""
        self._closed = True
        running = [each.check for each in self._watched.values() if isinstance(each.check, _Exec)]
        for each in self._watched.values():
            self._stop(each)
        self._watched.clear()
        if self._timer:
            self._timer.cancel()
        self._poller.close()
        await asyncio.gather(*(each.task for each in running), return_exceptions=True)

    def _begin(self, probe: Probe, *, passing: bool) -> None:
        now, phase = self._loop.time(), schedule.phase(self._node, probe.key)
        why_not = self._not_asked(probe)
        each = _Watched(probe, phase, now, passing=passing or bool(why_not))
        self._watched[probe.key] = each
        if not each.state.passing:
            self._failing.add(probe.key)
        if why_not:
            each.reason = why_not
        else:
            self._plan(each, schedule.first(probe, phase, now))

    def _not_asked(self, probe: Probe) -> str:
        """Return why the workload of *probe* passes without being asked, or ""."""
        if probe.kind != "exec":
            return ""
        if probe.node != self._node:
            return f"exec probes are run by their own node alone, which is {probe.node}"
        return "" if self._run_exec else "exec probes are off on this node"

    def _replace(self, known: _Watched, probe: Probe) -> None:
        if known.probe.target != probe.target or known.probe.node != probe.node:
            self._stop(known)
            self._begin(probe, passing=False)
            return
        known.probe = probe
        if known.due:
            self._plan(known, schedule.following(probe, known.phase, known.started, known.began))

    def _stop(self, each: _Watched) -> None:
        each.due = 0
        self._failing.discard(each.key)
        self._stumbling.discard(each.key)
        self._changed.discard(each.key)
        if each.check is not None:
            self._in_flight -= 1
            each.check.abort()
            each.check = None

    def _plan(self, each: _Watched, when: float) -> None:
        each.due = next(self._numbers)
        heappush(self._agenda, (when, each.due, each, None))

    def _wake(self) -> None:
        """Do the due work of the agenda."""
        self._timer = None
        now = self._loop.time()
        while self._agenda and self._agenda[0][0] <= now:
            _, number, each, check = heappop(self._agenda)
            if check is None:
                if each.due == number:
                    each.due = 0
                    self._waiting.append(each)
            elif each.check is check:
                check.abort()
                self._ended(each, timed_out(each.probe.timeout))
        self._go_on()

    def _go_on(self) -> None:
        """Start waiting checks up to the limit, and schedule the next wake-up."""
        while self._waiting and self._in_flight < self._most:
            each = self._waiting.popleft()
            if self._watched.get(each.key) is each and each.check is None:
                self._start(each)
        while self._agenda and _is_over(self._agenda[0]):
            heappop(self._agenda)
        if self._agenda and not self._closed:
            # One grid for all: what is due within 10 ms is done in one go.
            when = (self._agenda[0][0] // _GRID_S + 1) * _GRID_S
            if self._timer is None or when != self._timer.when():
                if self._timer:
                    self._timer.cancel()
                self._timer = self._loop.call_at(when, self._wake)

    def _start(self, each: _Watched) -> None:
        each.began = self._loop.time()
        self._in_flight += 1
        done = partial(self._ended, each)
        check: PolledCheck | _Exec
        if each.probe.kind == "exec":
            assert self._run_exec is not None  # noqa: S101
            each.check = check = _Exec(partial(self._run_exec, each.probe), done)
        else:
            each.check = check = PolledCheck(conversation(each.probe), self._poller, done)
            check.step()
        if each.check is check:  # it has not ended at once
            deadline = each.began + each.probe.timeout
            heappush(self._agenda, (deadline, next(self._numbers), each, check))

    def _ended(self, each: _Watched, outcome: ProbeOutcome) -> None:
        now = self._loop.time()
        each.check = None
        self._in_flight -= 1
        each.reason, each.seconds = outcome.reason, now - each.began
        each.answered = each.began
        if outcome.passed is not None:
            before = each.state.passing
            each.state = after(each.state, each.probe, now, passed=outcome.passed)
            (self._stumbling.discard if outcome.passed else self._stumbling.add)(each.key)
            if each.state.passing != before:
                self._tell(each)
        following = schedule.following(each.probe, each.phase, each.started, each.began)
        self._plan(each, max(following, now))

    def _tell(self, each: _Watched) -> None:
        each.since = time.time()
        if each.state.passing:
            self._failing.discard(each.key)
        else:
            self._failing.add(each.key)
        if not self._changed:
            self._loop.call_later(_TOGETHER_S, self._hand_over)
        self._changed.add(each.key)

    def _hand_over(self) -> None:
        changes = {key: self._watched[key].verdict for key in self._changed}
        self._changed.clear()
        if changes and not self._closed:
            self._on_change(changes)


def _is_over(entry: _Entry) -> bool:
    """Return whether nothing is to be done for *entry*: its check has ended in time, mostly."""
    _, number, each, check = entry
    return each.check is not check if check is not None else each.due != number


class _Exec:
    """A command that runs for a check."""

    def __init__(
        self, run: Callable[[], Awaitable[tuple[bool, str]]], done: Callable[[ProbeOutcome], None]
    ) -> None:
        self._run = run
        self._done: Callable[[ProbeOutcome], None] | None = done
        self.task = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        try:
            outcome = ProbeOutcome(*await self._run())
        except Exception as error:  # noqa: BLE001  (whoever runs commands: it could not be checked)
            outcome = ProbeOutcome(None, f"not checked: {error}")
        if self._done:
            self._done(outcome)

    def abort(self) -> None:
        self._done = None
        self.task.cancel()
