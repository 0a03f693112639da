"""Prometheus metrics, with kube-proxy's names if it has them, so that its dashboards work.

docs/metrics.md describes each of them. kube-proxy's: pkg/proxy/metrics/metrics.go.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from groundplane.agent.endpoint_counts import HEAD
from groundplane.agent.status import Status
from groundplane.net.protocols import Family
from groundplane.project.state import VirtualService
from groundplane.proxies import proxies

_BUCKETS: Final = tuple(0.0001 * 2**step for step in range(18))  # 0.1 ms to 13 s

# By internal name: the metric's name, its description, and its labels.
_HISTOGRAMS: Final = {
    "sync": ("kubeproxy_sync_proxy_rules_duration_seconds", "Bringing rules to a state", ()),
    "full": (
        "kubeproxy_sync_full_proxy_rules_duration_seconds",
        "Of these, with all of them compared",
        (),
    ),
    "partial": (
        "kubeproxy_sync_partial_proxy_rules_duration_seconds",
        "Of these, with a part compared",
        (),
    ),
    "programming": (
        "kubeproxy_network_programming_duration_seconds",
        "From a change that was seen to the kernel's acknowledgement",
        (),
    ),
    "conntrack_seconds": (
        "kubeproxy_conntrack_reconciler_sync_duration_seconds",
        "Looking for stale entries",
        (),
    ),
}
_GAUGES: Final = {
    "last": (
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
        "When rules were last as declared",
        (),
    ),
    "queued": (
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
        "When a change was last seen",
        (),
    ),
    "without_local": (
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
        "Services whose Local policy leaves them no endpoint on this node",
        ("traffic_policy",),
    ),
    "info": ("groundplane_info", "Always 1", ("node", "version")),
    "revision": ("groundplane_revision_info", "1 for the one in use", ("revision",)),
    "applied": ("groundplane_revision_applied_timestamp_seconds", "Since when it is", ()),
    "services": ("groundplane_services", "Services of the site in use", ()),
    "failing": ("groundplane_failing_workloads", "Workloads that count as failing", ()),
    "probed": ("groundplane_probed_workloads", "Workloads whose probes were answered", ()),
    "held": ("groundplane_held_workloads", "Failing ones kept, since the node is cut off", ()),
    "change_held": (
        "groundplane_change_held_back",
        "1 while the source has more than changeLimits allow at once",
        (),
    ),
    "source": ("groundplane_source_ok", "1 while what the source has is in use", ()),
    "checked": (
        "groundplane_source_checked_timestamp_seconds",
        "When the source was last looked at",
        (),
    ),
    "store": ("groundplane_store_ok", "1 while the revision in use is kept on disk", ()),
    "plane_ok": ("groundplane_dataplane_ok", "1 while it is as declared", ("dataplane",)),
    "contested": (
        "groundplane_dataplane_contested",
        "1 while others insist on changing it",
        ("dataplane",),
    ),
}
_COUNTERS: Final = {
    "failures": (
        "kubeproxy_sync_proxy_rules_nftables_sync_failures",
        "Changes that the kernel refused",
        (),
    ),
    "endpoint_changes": (
        "kubeproxy_sync_proxy_rules_endpoint_changes",
        "Workloads that started failing or passing",
        (),
    ),
    "service_changes": (
        "kubeproxy_sync_proxy_rules_service_changes",
        "Services that another site changed",
        (),
    ),
    "conntrack_deleted": (
        "kubeproxy_conntrack_reconciler_deleted_entries",
        "Stale entries deleted",
        ("ip_family",),
    ),
    "healthz": ("kubeproxy_proxy_healthz", "Answers of /healthz", ("code",)),
    "livez": ("kubeproxy_proxy_livez", "Answers of /livez", ("code",)),
    "objects": ("groundplane_dataplane_objects", "Objects written", ("dataplane",)),
    "seconds": ("groundplane_dataplane_busy_seconds", "Time spent on bringing it", ("dataplane",)),
    "repairs": ("groundplane_dataplane_repairs", "What others changed, undone", ("dataplane",)),
}


class Metrics:
    """The metrics of one agent."""

    def __init__(self, node: str, version: str) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._synced_by = {each.synced_by for each in proxies()}
        self._endpoints: Callable[[], bytes] = lambda: HEAD
        ProcessCollector(registry=registry)
        self._histogram = {
            key: Histogram(*named, registry=registry, buckets=_BUCKETS)
            for key, named in _HISTOGRAMS.items()
        }
        self._gauge = {key: Gauge(*named, registry=registry) for key, named in _GAUGES.items()}
        self._counter = {
            key: Counter(*named, registry=registry) for key, named in _COUNTERS.items()
        }
        self._gauge["info"].labels(node, version).set(1)
        # They begin with 0: Prometheus sees no increase to the first value of a series.
        for family in ("IPv4", "IPv6"):
            self._counter["conntrack_deleted"].labels(family)
        for code in ("200", "503"):
            self._counter["healthz"].labels(code)
            self._counter["livez"].labels(code)

    def watch_local_policies(self, services: Callable[[], Iterable[VirtualService]]) -> None:
        """Count, on each scrape, *services* that policy Local leaves without endpoints here."""

        def lacking() -> Iterator[VirtualService]:
            return (each for each in services() if each.lacks_local_endpoints)

        internal, external = map(self._gauge["without_local"].labels, ("internal", "external"))
        internal.set_function(lambda: float(sum(each.internal_local for each in lacking())))
        external.set_function(lambda: float(sum(each.external_local for each in lacking())))

    def watch_endpoints(self, exposition: Callable[[], bytes]) -> None:
        """Add the result of *exposition*, in Prometheus' text format, to each scrape."""
        self._endpoints = exposition

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return bytes(generate_latest(self._registry)) + self._endpoints()

    def take(self, status: Status) -> None:
        """Show *status*."""
        self._gauge["revision"].clear()
        if status.revision:
            self._gauge["revision"].labels(status.revision).set(1)
        self._gauge["applied"].set(status.applied)
        self._gauge["services"].set(status.services)
        self._gauge["failing"].set(status.failing)
        self._gauge["probed"].set(status.probes)
        self._gauge["held"].set(status.held)
        self._gauge["change_held"].set(status.change_held)
        self._gauge["source"].set(not status.source_error)
        self._gauge["checked"].set(status.source_checked)
        self._gauge["store"].set(not status.store_error)
        for plane in status.planes:
            self._gauge["plane_ok"].labels(plane.name).set(not plane.error)
            self._gauge["contested"].labels(plane.name).set(bool(plane.contested))
            # They begin with 0: Prometheus sees no increase to the first value of a series.
            for counter in (
                self._counter["objects"],
                self._counter["seconds"],
                self._counter["repairs"],
            ):
                counter.labels(plane.name)

    def seen(self, now: float, *, services: int = 0, workloads: int = 0) -> None:
        """Count the services and workloads of a change that was seen at *now*."""
        self._gauge["queued"].set(now)
        self._counter["service_changes"].inc(services)
        self._counter["endpoint_changes"].inc(workloads)

    def made(self, seconds: float) -> None:
        """Record that a change was in place *seconds* after it was seen."""
        self._histogram["programming"].observe(seconds)

    def applied(self, plane: str, seconds: float, objects: int, now: float, *, whole: bool) -> None:
        """Record that a dataplane is as declared, after writing *objects* objects."""
        self._counter["objects"].labels(plane).inc(objects)
        self._counter["seconds"].labels(plane).inc(seconds)
        if plane in self._synced_by:
            self._histogram["sync"].observe(seconds)
            (self._histogram["full"] if whole else self._histogram["partial"]).observe(seconds)
            self._gauge["last"].set(now)
        if plane == "conntrack":
            self._histogram["conntrack_seconds"].observe(seconds)

    def deleted(self, family: Family) -> None:
        """Count a deleted conntrack entry."""
        self._counter["conntrack_deleted"].labels(family).inc()

    def refused(self, plane: str) -> None:
        if plane in self._synced_by:
            self._counter["failures"].inc()

    def repaired(self, plane: str) -> None:
        self._counter["repairs"].labels(plane).inc()

    def asked(self, path: str, code: int) -> None:
        """Count an answer of /healthz or /livez."""
        (self._counter["livez"] if path == "/livez" else self._counter["healthz"]).labels(
            str(code)
        ).inc()
