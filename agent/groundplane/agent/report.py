"""The agent's report: its status as a value, its events, and its metrics."""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from groundplane.agent.events import Journal
from groundplane.agent.metrics import Metrics
from groundplane.agent.status import Status, bounded_status, write_status
from groundplane.agent.workload_health import WorkloadHealth
from groundplane.project.state import NodeBase

log = logging.getLogger(__name__)


def no_places(_subjects: Collection[str]) -> Mapping[str, str]:
    return {}


class Report:
    """The status of one agent; also stored in its runtime directory for when it is not running."""

    def __init__(self, status: Status, runtime_directory: Path) -> None:
        self.status = status
        self.journal = Journal()
        self.metrics = Metrics(status.node, status.version)
        self.base: NodeBase | None = None  # of the state in use
        self.health: Callable[[], tuple[WorkloadHealth, ...]] = tuple  # of every workload probed
        self.places: Callable[[Collection[str]], Mapping[str, str]] = no_places
        self._directory = runtime_directory
        self._listeners: list[Callable[[Status], None]] = []

    def listen(self, listener: Callable[[Status], None]) -> None:
        """Call *listener* with every new status."""
        self._listeners.append(listener)

    def tell(self, **changes: Any) -> None:
        """Update the status; texts that are too long are truncated (`bounded_status`)."""
        self.status = bounded_status(msgspec.structs.replace(self.status, **changes))
        try:
            write_status(self._directory, self.status)
        except OSError as error:
            log.error("the status cannot be written: %s", error)
        self.metrics.take(self.status)
        for listener in self._listeners:
            listener(self.status)

    def event(
        self, reason: str, about: str, message: str, *, warning: bool = False, place: str = ""
    ) -> None:
        revision = self.status.revision
        self.journal.add(reason, about, message, revision, warning=warning, place=place)
