"""The agent's plan: what it would change now in every dataplane, without writes or locks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from groundplane.agent.store import SERIALS_FILE
from groundplane.dataplanes import Dataplane, Preparing
from groundplane.dataplanes.conntrack import StaleFlows, expected_flows
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import Bind
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import GroundplaneError
from groundplane.project import NodeState, project_base, project_services
from groundplane.project.select_endpoints import Failing
from groundplane.proxies.node import planes
from groundplane.site.snapshot import decode

Verb = Literal["prepare", "create", "update", "delete"]


class Change(NamedTuple):
    """One change of a dataplane, as text."""

    verb: Verb
    what: str


class Plan(NamedTuple):
    """The planned changes of a dataplane; *error* says why they are unknown."""

    plane: str
    changes: Sequence[Change] = ()
    error: str = ""


def wanted(encoded: bytes, node: str, failing: Failing) -> NodeState:
    """Return the desired state of *node* by the compiled site *encoded*. StateError if invalid."""
    snapshot = decode(encoded)
    return project_services(snapshot, project_base(snapshot.site(node), node), failing)


def plans(state: NodeState, state_directory: Path, dns_key: Path | None) -> Iterator[Plan]:
    """Yield the changes that each dataplane of this node needs to hold *state*."""
    found = planes(StaleFlows(expected_flows(state)))
    if dns_key is not None:
        found.append(Bind(dns_key, state_directory / SERIALS_FILE))
    for plane in found:
        try:
            yield Plan(plane.name, tuple(_changes(plane, state)))
        except (GroundplaneError, OSError) as error:
            yield Plan(plane.name, error=str(error))
        finally:
            plane.close()


def _changes(plane: Dataplane[Any, Any], state: NodeState) -> Iterator[Change]:
    if isinstance(plane, Preparing):
        for what in plane.unprepared(state.base):
            yield Change("prepare", what)
    delta: Delta[Any, Any] = Reconciler(plane).plan(state)
    for key, value in delta.delete.items():
        yield Change("delete", plane.text(key, value))
    for key, (old, new) in delta.update.items():
        yield Change("update", f"{plane.text(key, old)} -> {plane.text(key, new)}")
    for key, value in delta.create.items():
        yield Change("create", plane.text(key, value))
