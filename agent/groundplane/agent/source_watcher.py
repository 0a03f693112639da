"""Watches the source: compiles its content if YAML, applies it, and saves it for the next start."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from groundplane.agent.compiler import compile_in_child
from groundplane.agent.controller import Controller
from groundplane.agent.report import Report
from groundplane.agent.store import save_site
from groundplane.agent.timings import TIMINGS, Timings
from groundplane.agent.watching import changes
from groundplane.errors import ChangeHeld, GroundplaneError, bounded
from groundplane.site.snapshot import verify_values
from groundplane.sources import Content, Source

log = logging.getLogger(__name__)


class _Refusal(NamedTuple):
    """Why the content of the source is not used; *why* is "" if it is."""

    why: str = ""
    is_change_held: bool = False


class _Refused(NamedTuple):
    """Refused content, and the time before which it is not compiled again: that costs a process."""

    fingerprint: Hashable
    refusal: _Refusal
    until: float


class SourceWatcher:
    """Polls *source* every *poll_s* seconds, on each change of a local one, and when poked."""

    def __init__(
        self,
        source: Source,
        controller: Controller,
        report: Report,
        state_directory: Path,
        poll_s: float,
        timings: Timings = TIMINGS,
    ) -> None:
        self._source, self._controller, self._report = source, controller, report
        self._state_directory, self._poll_s = state_directory, poll_s
        self._timings = timings
        self._fingerprint: Hashable = ()  # of the content that the revision in use was made of
        self._saved = ""  # the revision known to be in the state directory
        self._unsaved: bytes | None = None  # the site in use, until it is saved
        self._refused = _Refused((), _Refusal(), 0.0)
        self._poked = asyncio.Event()
        self._forgotten = False

    def poke(self) -> None:
        """Poll the source now."""
        self._poked.set()

    def forget(self) -> None:
        """Poll the source now, and treat its content as new."""
        self._forgotten = True
        self._poked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            soonest = loop.time() + min(self._timings.source_pause, self._poll_s)
            await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._poked.wait()
            await asyncio.sleep(soonest - loop.time())
            self._poked.clear()  # not before the pause: a poke in it is for the look that follows

    async def watch(self) -> None:
        """Poke on each change below a local source, which may itself appear and disappear."""
        watched = self._source.watched
        if watched is None:
            return
        while True:
            try:
                async for _ in changes(watched):
                    self._poked.set()
            except OSError as error:
                log.warning("cannot watch %s: %s", watched, error)
            except Exception:
                log.exception("cannot watch %s", watched)
            await asyncio.sleep(self._timings.watch_retry)

    async def look(self) -> None:
        """Take the source's content if it is new.

        A source that cannot be read or compiled changes only the status.
        """
        refusal = await self._look()
        error = bounded(refusal.why)
        before = self._report.status.source_error
        if error and error != before:
            self._report.event("SourceRefused", "Source", error, warning=True)
        if before and not error:
            self._report.event("SourceAccepted", "Source", "can be used again")
        self._report.tell(
            source_error=error,
            change_held=refusal.is_change_held,
            source_checked=time.time(),
        )

    async def _look(self) -> _Refusal:
        """Return why the source's content is not used, if it is not."""
        forgotten, self._forgotten = self._forgotten, False
        try:
            content = await self._source.look()
            if content.fingerprint and not forgotten:
                if content.fingerprint == self._fingerprint:
                    await self._save()
                    return _Refusal()
                if (
                    content.fingerprint == self._refused.fingerprint
                    and time.monotonic() < self._refused.until
                ):
                    return self._refused.refusal
            self._fingerprint = ()
            refusal = await self._take(content)
        except (GroundplaneError, OSError) as problem:
            return _Refusal(str(problem))
        except Exception as problem:
            log.exception("the source is not used")
            return _Refusal(f"{type(problem).__name__}: {problem}")
        if refusal.why:
            until = time.monotonic() + self._timings.refused_source
            self._refused = _Refused(content.fingerprint, refusal, until)
        else:
            self._fingerprint = content.fingerprint
        return refusal

    async def _take(self, content: Content) -> _Refusal:
        """Compile *content* if it is YAML, apply it and save it; return why not, if it is refused."""
        before = self._report.status.revision
        try:
            encoded = content.snapshot or await self._compile(content)
            if self._controller.snapshot is None:
                await asyncio.to_thread(verify_values, encoded)
            await self._controller.take(encoded)
        except GroundplaneError as problem:
            return _Refusal(str(problem), isinstance(problem, ChangeHeld))
        if self._report.status.source_revision != content.revision:
            self._report.tell(source_revision=content.revision)
        if self._report.status.revision != before:
            log.info("revision %s in use", self._report.status.revision)
        self._unsaved = encoded
        await self._save()
        return _Refusal()

    async def _compile(self, content: Content) -> bytes:
        """Return the compiled catalog; SourceError names its files as the source does."""
        assert content.directory is not None  # noqa: S101
        return await compile_in_child(content.directory, content.shown, self._state_directory)

    async def _save(self) -> None:
        """Save the site in use for the next start; retried until it succeeds."""
        encoded, revision = self._unsaved, self._report.status.revision
        if encoded is None:
            return
        if self._saved == revision:
            self._unsaved = None
            return
        try:
            await asyncio.to_thread(save_site, self._state_directory, encoded)
            self._saved, self._unsaved, error = revision, None, ""
        except OSError as problem:
            error = f"{problem.filename}: {problem.strerror}"
            if error != self._report.status.store_error:
                log.error("cannot save revision %s: %s", revision, error)
        self._report.tell(store_error=error)
