"""`update`: the next NodeState after health has changed, at the cost of the services concerned."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from groundplane.model import compiled
from groundplane.project.node import project_service
from groundplane.project.state import NodeState
from groundplane.resolve import Failing

_Key = tuple[str, str]


class ServiceIndex:
    """The services of a site by name, and by the workloads that may answer for them."""

    def __init__(self, site: compiled.Site) -> None:
        self._services = {service.key: service for service in site.services}
        self._by_workload: dict[_Key, list[_Key]] = defaultdict(list)
        for service in site.services:
            for endpoint in service.endpoints:
                if endpoint.workload:
                    self._by_workload[service.namespace, endpoint.workload].append(service.key)

    def __getitem__(self, key: _Key) -> compiled.Service:
        return self._services[key]

    def concerned(self, workloads: Iterable[_Key]) -> set[_Key]:
        """Return the services that any of *workloads* may answer for."""
        empty: list[_Key] = []
        return {key for each in workloads for key in self._by_workload.get(each, empty)}


def update(
    state: NodeState, index: ServiceIndex, before: Failing, failing: Failing
) -> tuple[NodeState, set[_Key]]:
    """Return *state* with what *failing* makes of it, and the services that may have changed.

    *state* was made with the workloads *before* failing; *index* is of its site.
    """
    keys = index.concerned(before ^ failing)
    services = dict(state.services)
    for key in keys:
        services[key] = project_service(index[key], failing)
    return replace(state, services=services), keys
