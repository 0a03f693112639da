"""The agent's status, in a file that `groundplane agent status` reads."""

from pathlib import Path
from typing import Final

import msgspec

from groundplane.atomic import write_atomically
from groundplane.errors import MAX_FAULTS, StateError, bounded

STATUS_FILE: Final = "status.json"


class PlaneStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One dataplane: its last error, "" if it holds the revision in use; times are Unix seconds.

    *changed* counts the objects that the last write changed, which took *seconds*. *repairs* counts
    the repairs of others' changes, the last one at *repaired*; *contested* names the conflicting
    program while a repair waits. *busy_since* is not 0 while a check or write takes long, e.g.
    waits for a daemon: the declared state may not be in place. *synced* is when it was last in
    sync, 0 for never.
    """

    name: str
    error: str = ""
    changed: int = 0
    since: float = 0.0
    seconds: float = 0.0
    repairs: int = 0
    repaired: float = 0.0
    contested: str = ""
    busy_since: float = 0.0
    synced: float = 0.0


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """The agent as a whole. *revision* is the site in use, *source_error* why it is not a newer one,
    *change_held* whether that is because the change exceeds the catalog's limits;
    *source_revision* is what the source calls it: a commit.
    *generation* counts the sites that were in use since the agent started.

    *store_error* is why the revision in use is not kept for the next start; *probes* counts
    the workloads that are probed, *failing* those that fail by a probe or by the health file, of
    which *failing_workloads* names the first (NAMESPACE/NAME), *held* those that stay endpoints all
    the same, since this node is cut off; *health_error* is why the health file is not used.
    *leftover_workloads* (NAMESPACE-NAME) are on another node by now, and their networks still here.
    *health_check_errors* are why health check node ports do not answer.
    """

    node: str
    version: str
    pid: int
    started: float
    source: str
    revision: str = ""
    generation: int = 0
    applied: float = 0.0
    services: int = 0
    source_revision: str = ""
    source_error: str = ""
    change_held: bool = False
    source_checked: float = 0.0
    store_error: str = ""
    probes: int = 0
    failing: int = 0
    failing_workloads: tuple[str, ...] = ()
    held: int = 0
    health_error: str = ""
    health_check_errors: tuple[str, ...] = ()
    leftover_workloads: tuple[str, ...] = ()
    planes: tuple[PlaneStatus, ...] = ()

    @property
    def healthy(self) -> bool:
        return (
            bool(self.revision)
            and not self.source_error
            and not self.store_error
            and not self.health_error
            and not self.health_check_errors
            and not any(each.error or each.busy_since or each.contested for each in self.planes)
        )

    @property
    def summary(self) -> str:
        """The status in one line."""
        behind = [plane.name for plane in self.planes if plane.error]
        parts = [f"revision {self.revision or 'none'}, {self.services} services"]
        if behind:
            parts.append(f"behind: {', '.join(behind)}")
        if busy := [plane.name for plane in self.planes if plane.busy_since]:
            parts.append(f"busy: {', '.join(busy)}")
        if contested := [plane.name for plane in self.planes if plane.contested]:
            parts.append(f"contested: {', '.join(contested)}")
        if self.source_error:
            parts.append("the source has errors")
        return "; ".join(parts)


def bounded_status(status: Status) -> Status:
    """Return *status* with texts and lists of bounded size. Pure."""
    planes = tuple(
        msgspec.structs.replace(
            plane, error=bounded(plane.error), contested=bounded(plane.contested)
        )
        for plane in status.planes
    )
    return msgspec.structs.replace(
        status,
        source_error=bounded(status.source_error),
        store_error=bounded(status.store_error),
        health_error=bounded(status.health_error),
        health_check_errors=bounded_texts(status.health_check_errors),
        planes=planes,
    )


def bounded_texts(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first MAX_FAULTS of *texts*, and the number of the others in their place."""
    if len(texts) <= MAX_FAULTS:
        return texts
    return (*texts[: MAX_FAULTS - 1], f"and {len(texts) - MAX_FAULTS + 1} more")


def write_status(directory: Path, status: Status) -> None:
    """Write the status, which the socket also serves; `groundplane status` reads either."""
    content = msgspec.json.format(msgspec.json.encode(status)) + b"\n"
    write_atomically(directory / STATUS_FILE, content, 0o644)


def read_status(directory: Path) -> Status:
    """Return the status of the agent; StateError if it has not written one."""
    path = directory / STATUS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}; is the agent running?") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"{path}: {error}") from None
