"""The events that report a change's effects. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from groundplane.net.address import address_and_port
from groundplane.project.extent import Extent
from groundplane.project.select_endpoints import Failing
from groundplane.project.state import NodeState, VirtualService
from groundplane.site.blocks import Key

_NAMED: Final = 200  # services of one change that get an event each
_LISTED: Final = 3  # endpoints that are named
_SERVICES: Final = 10  # of one workload that are named


class Told(NamedTuple):
    """The reason of an event, its subject, and its message."""

    reason: str
    about: str
    message: str
    warning: bool = False


def endpoint_events(
    differing: Iterable[Key],
    failing: Failing,
    concerned: Callable[[Iterable[Key]], set[Key]],
    why: Callable[[Key], str],
) -> Iterator[Told]:
    """Yield the effects on services of the workloads *differing*, of which *failing* fail now."""
    every = sorted(differing)
    for workload in every[:_NAMED]:
        services = _listed(["/".join(key) for key in concerned([workload])], _SERVICES)
        about = f"Workload/{'/'.join(workload)}"
        if workload in failing:
            means = f"no endpoint of {services} any more" if services else "fails, unselected"
            yield Told("EndpointLeft", about, f"{means}: {why(workload)}")
        else:
            means = f"an endpoint of {services} again" if services else "passes, unselected"
            yield Told("EndpointReturned", about, f"{means}: {why(workload)}")
    if len(every) > _NAMED:
        left = sum(workload in failing for workload in every[_NAMED:])
        message = f"{left} more workloads fail now, {len(every) - _NAMED - left} more pass again"
        yield Told("EndpointsChanged", "Workload", message)


def service_events(before: NodeState, after: NodeState, extent: Extent) -> Iterator[Told]:
    """Yield the changes that a new site makes to the services of *extent*."""
    keys = extent.service_keys({*before.services, *after.services})
    told = [
        event
        for key in sorted(keys)
        if (event := _service_event(key, before.services.get(key), after.services.get(key)))
    ]
    yield from told[:_NAMED]
    if len(told) > _NAMED:
        yield Told("ServicesChanged", "Service", f"{len(told) - _NAMED} more services changed")


def emptied_events(before: NodeState, after: NodeState, extent: Extent) -> Iterator[Told]:
    """Yield a warning for each service of *extent* that has lost its last endpoint."""
    keys = extent.service_keys(after.services)
    emptied = [
        key
        for key in sorted(keys)
        if (old := before.services.get(key))
        and (new := after.services.get(key))
        and _endpoints(old)
        and not _endpoints(new)
    ]
    for key in emptied[:_NAMED]:
        message = "has no endpoint any more: new connections are refused"
        yield Told("NoEndpoints", f"Service/{'/'.join(key)}", message, warning=True)
    if len(emptied) > _NAMED:
        message = f"{len(emptied) - _NAMED} more have no endpoint any more"
        yield Told("NoEndpoints", "Service", message, warning=True)


def _service_event(key: Key, old: VirtualService | None, new: VirtualService | None) -> Told | None:
    about = f"Service/{'/'.join(key)}"
    if old == new:
        return None
    if old is None:
        assert new is not None  # noqa: S101
        where = " and ".join(new.cluster_ips) or new.external_name or "headless"
        return Told("ServiceAdded", about, f"is there now: {where}, {_counted(_endpoints(new))}")
    if new is None:
        return Told("ServiceRemoved", about, "was removed from the catalog")
    left, came = _endpoints(old) - _endpoints(new), _endpoints(new) - _endpoints(old)
    parts = [f"{_listed(came)} came"] if came else []
    parts += [f"{_listed(left)} left"] if left else []
    return Told("ServiceChanged", about, "; ".join(parts) or "has another definition")


def _endpoints(service: VirtualService) -> set[str]:
    """Return the targets of new connections of *service*, as address and port."""
    if service.members:
        return {member.address for member in service.members}
    return {
        _text(target)
        for port in service.ports
        for targets in (port.ipv4, port.ipv6)
        for target in {*targets.cluster, *targets.local}  # repeated for each slot
    }


def _text(target: bytes) -> str:
    """Return a packed target (`project.state.Targets`) as text."""
    address, port = address_and_port(target)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _counted(endpoints: Collection[str]) -> str:
    return f"{len(endpoints)} endpoint{'' if len(endpoints) == 1 else 's'}"


def _listed(names: Collection[str], most: int = _LISTED) -> str:
    shown = ", ".join(sorted(names)[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{shown}{more}"
