"""Selectors: find a service's workloads with an index, not by comparing all with all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from groundplane.documents.site import Workload

_Pair = tuple[str, str, str]  # namespace, label, value


class LabelIndex:
    """Workloads by namespace and label pair; matching scans only the rarest pair's workloads."""

    def __init__(self, workloads: Iterable[Workload]) -> None:
        self._by_pair: dict[_Pair, list[Workload]] = defaultdict(list)
        for workload in workloads:
            namespace = workload.metadata.namespace
            for label, value in workload.metadata.labels.items():
                self._by_pair[namespace, label, value].append(workload)

    def matching(self, namespace: str, selector: Mapping[str, str]) -> list[Workload]:
        """Return the workloads of *namespace* that have every pair; none for an empty selector."""
        if not selector:
            return []
        empty: list[Workload] = []
        pools = [self._by_pair.get((namespace, *pair), empty) for pair in selector.items()]
        smallest = min(pools, key=len)
        if len(selector) == 1:
            return smallest
        wanted = selector.items()
        return [workload for workload in smallest if wanted <= workload.metadata.labels.items()]
