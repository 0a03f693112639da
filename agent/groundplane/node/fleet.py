"""The reports of all nodes of a site, side by side. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from groundplane.agent.status import Status

DECLARED: Final = "as declared"


class NodeAnswer(NamedTuple):
    """A node's answer: its agent's *status*, or why there is none."""

    status: Status | None
    running: bool = False
    error: str = ""


class NodeRow(NamedTuple):
    """A node as `groundplane status` shows it.

    *lag* is for how many seconds the newest revision has been in use elsewhere but not here, 0 if
    it is in use here; None if unknown. *detail* is the agent's error text.
    """

    node: str
    state: str
    commit: str
    revision: str
    lag: float | None
    held: int
    failing: int
    detail: str

    @property
    def well(self) -> bool:
        return self.state == DECLARED and not self.lag


def compare(answers: Mapping[str, NodeAnswer], now: float) -> list[NodeRow]:
    """Return a row for each node; *now* is a Unix time."""
    known = [each.status for each in answers.values() if each.status and each.status.revision]
    newest = max(known, key=lambda status: status.applied, default=None)
    since = min(
        (each.applied for each in known if newest and each.revision == newest.revision), default=now
    )
    return [_row(node, answer, newest, now - since) for node, answer in answers.items()]


def _row(node: str, answer: NodeAnswer, newest: Status | None, behind: float) -> NodeRow:
    status = answer.status
    if status is None:
        return NodeRow(node, "no answer", "", "", None, 0, 0, answer.error)
    current = newest is not None and status.revision == newest.revision
    state, detail = _state(answer, status)
    return NodeRow(
        node,
        state,
        status.source_revision[:12],
        status.revision,
        0.0 if current else max(0.0, behind),
        status.held,
        status.failing,
        detail,
    )


def _state(answer: NodeAnswer, status: Status) -> tuple[str, str]:
    """Return the worst error, in a word or two, and the agent's own text of it."""
    if not answer.running:
        return "agent stopped", answer.error
    found = [
        ("held back" if status.change_held else "refused", status.source_error),
        *((f"{plane.name} behind", plane.error or plane.contested) for plane in status.planes),
        ("not kept", status.store_error),
        ("health file", status.health_error),
        ("health checks", "; ".join(status.health_check_errors)),
    ]
    wrong = next(((state, text) for state, text in found if text), None)
    if wrong:
        return wrong
    if busy := [plane.name for plane in status.planes if plane.busy_since]:
        return f"{busy[0]} busy", "it may not be as declared"
    return (DECLARED, "") if status.revision else ("no site", "the agent has no site yet")


def table(rows: Sequence[NodeRow]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return headings and cells."""
    headings = ("NODE", "STATE", "COMMIT", "REVISION", "LAG", "HELD", "FAILING")
    cells = [
        (
            row.node,
            row.state,
            row.commit or "-",
            row.revision or "-",
            "-" if row.lag is None else f"{row.lag:.0f}s" if row.lag else "0",
            str(row.held),
            str(row.failing),
        )
        for row in rows
    ]
    return headings, cells
