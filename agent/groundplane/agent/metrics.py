"""Prometheus metrics: kube-proxy's names where it has them, so that its dashboards work.

What each of them counts is in docs/metrics.md. kube-proxy's: pkg/proxy/metrics/metrics.go.
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


class Metrics:
    """The metrics of one agent."""

    def __init__(self, node: str, version: str) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._synced_by = {each.synced_by for each in proxies()}
        self._endpoints: Callable[[], bytes] = lambda: HEAD
        ProcessCollector(registry=registry)

        def histogram(name: str, what: str) -> Histogram:
            return Histogram(name, what, registry=registry, buckets=_BUCKETS)

        def gauge(name: str, what: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, what, labels, registry=registry)

        def counter(name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, what, labels, registry=registry)

        kube, own = "kubeproxy", "groundplane"
        self._sync = histogram(
            f"{kube}_sync_proxy_rules_duration_seconds", "Bringing rules to a state"
        )
        self._full = histogram(
            f"{kube}_sync_full_proxy_rules_duration_seconds", "Of these, with all of them compared"
        )
        self._partial = histogram(
            f"{kube}_sync_partial_proxy_rules_duration_seconds", "Of these, with a part compared"
        )
        self._last = gauge(
            f"{kube}_sync_proxy_rules_last_timestamp_seconds", "When rules were last as declared"
        )
        self._queued = gauge(
            f"{kube}_sync_proxy_rules_last_queued_timestamp_seconds", "When a change was last seen"
        )
        self._failures = counter(
            f"{kube}_sync_proxy_rules_nftables_sync_failures", "Changes that the kernel refused"
        )
        self._programming = histogram(
            f"{kube}_network_programming_duration_seconds",
            "From a change that was seen to the kernel's acknowledgement",
        )
        self._endpoint_changes = counter(
            f"{kube}_sync_proxy_rules_endpoint_changes", "Workloads that started failing or passing"
        )
        self._service_changes = counter(
            f"{kube}_sync_proxy_rules_service_changes", "Services that another site changed"
        )
        self._without_local = gauge(
            f"{kube}_sync_proxy_rules_no_local_endpoints_total",
            "Services whose Local policy leaves them no endpoint on this node",
            ("traffic_policy",),
        )
        self._conntrack_seconds = histogram(
            f"{kube}_conntrack_reconciler_sync_duration_seconds", "Looking for stale entries"
        )
        self._conntrack_deleted = counter(
            f"{kube}_conntrack_reconciler_deleted_entries", "Stale entries deleted", ("ip_family",)
        )
        for family in ("IPv4", "IPv6"):
            self._conntrack_deleted.labels(family)
        self._healthz = counter(f"{kube}_proxy_healthz", "Answers of /healthz", ("code",))
        self._livez = counter(f"{kube}_proxy_livez", "Answers of /livez", ("code",))
        for code in ("200", "503"):
            self._healthz.labels(code)
            self._livez.labels(code)
        info = gauge(f"{own}_info", "Always 1", ("node", "version"))
        info.labels(node, version).set(1)
        self._revision = gauge(f"{own}_revision_info", "1 for the one in use", ("revision",))
        self._applied = gauge(f"{own}_revision_applied_timestamp_seconds", "Since when it is")
        self._services = gauge(f"{own}_services", "Services of the site in use")
        self._failing = gauge(f"{own}_failing_workloads", "Workloads that count as failing")
        self._probed = gauge(f"{own}_probed_workloads", "Workloads whose probes were answered")
        self._held = gauge(f"{own}_held_workloads", "Failing ones kept, since the node is cut off")
        self._change_held = gauge(
            f"{own}_change_held_back", "1 while the source has more than changeLimits allow at once"
        )
        self._source = gauge(f"{own}_source_ok", "1 while what the source has is in use")
        self._checked = gauge(
            f"{own}_source_checked_timestamp_seconds", "When the source was last looked at"
        )
        self._store = gauge(f"{own}_store_ok", "1 while the revision in use is kept on disk")
        self._plane_ok = gauge(f"{own}_dataplane_ok", "1 while it is as declared", ("dataplane",))
        self._objects = counter(f"{own}_dataplane_objects", "Objects written", ("dataplane",))
        self._seconds = counter(
            f"{own}_dataplane_busy_seconds", "Time spent on bringing it", ("dataplane",)
        )
        self._repairs = counter(
            f"{own}_dataplane_repairs", "What others changed, undone", ("dataplane",)
        )
        self._contested = gauge(
            f"{own}_dataplane_contested", "1 while others insist on changing it", ("dataplane",)
        )

    def watch_local_policies(self, services: Callable[[], Iterable[VirtualService]]) -> None:
        """Count, whenever asked, those of *services* that a Local policy leaves no endpoint here."""

        def lacking() -> Iterator[VirtualService]:
            return (each for each in services() if each.lacks_local_endpoints)

        internal, external = map(self._without_local.labels, ("internal", "external"))
        internal.set_function(lambda: float(sum(each.internal_local for each in lacking())))
        external.set_function(lambda: float(sum(each.external_local for each in lacking())))

    def watch_endpoints(self, exposition: Callable[[], bytes]) -> None:
        """Add what *exposition* returns, in Prometheus' text format, whenever asked."""
        self._endpoints = exposition

    def exposition(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return bytes(generate_latest(self._registry)) + self._endpoints()

    def take(self, status: Status) -> None:
        """Show *status*."""
        self._revision.clear()
        if status.revision:
            self._revision.labels(status.revision).set(1)
        self._applied.set(status.applied)
        self._services.set(status.services)
        self._failing.set(status.failing)
        self._probed.set(status.probes)
        self._held.set(status.held)
        self._change_held.set(status.change_held)
        self._source.set(not status.source_error)
        self._checked.set(status.source_checked)
        self._store.set(not status.store_error)
        for plane in status.planes:
            self._plane_ok.labels(plane.name).set(not plane.error)
            self._contested.labels(plane.name).set(bool(plane.contested))
            # They begin with 0: Prometheus sees no increase to the first value of a series.
            for counter in (self._objects, self._seconds, self._repairs):
                counter.labels(plane.name)

    def seen(self, now: float, *, services: int = 0, workloads: int = 0) -> None:
        """Count what a change concerns that was seen at *now*."""
        self._queued.set(now)
        self._service_changes.inc(services)
        self._endpoint_changes.inc(workloads)

    def made(self, seconds: float) -> None:
        """Take note that a change was in place *seconds* after it was seen."""
        self._programming.observe(seconds)

    def applied(self, plane: str, seconds: float, objects: int, now: float, *, whole: bool) -> None:
        """Take note that a dataplane holds what is declared, with *objects* written for it."""
        self._objects.labels(plane).inc(objects)
        self._seconds.labels(plane).inc(seconds)
        if plane in self._synced_by:
            self._sync.observe(seconds)
            (self._full if whole else self._partial).observe(seconds)
            self._last.set(now)
        if plane == "conntrack":
            self._conntrack_seconds.observe(seconds)

    def deleted(self, family: Family) -> None:
        """Count a conntrack entry that was deleted."""
        self._conntrack_deleted.labels(family).inc()

    def refused(self, plane: str) -> None:
        if plane in self._synced_by:
            self._failures.inc()

    def repaired(self, plane: str) -> None:
        self._repairs.labels(plane).inc()

    def asked(self, path: str, code: int) -> None:
        """Count an answer of /healthz or /livez."""
        (self._livez if path == "/livez" else self._healthz).labels(str(code)).inc()
