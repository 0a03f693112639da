"""Metrics: their names, what they count, and that docs/metrics.md has each of them."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from groundplane.agent.endpoint_counts import EndpointCounts
from groundplane.agent.metrics import Metrics
from groundplane.agent.status import PlaneStatus, Status
from groundplane.site.encoding import encode
from groundplane.site.snapshot import decode
from tests.project.test_update import service as site_service
from tests.site.test_snapshot import EMPTY
from tests.states import service

DOCUMENTED = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)


def status(**changes: Any) -> Status:
    return Status("n1", "1.0", 1, 0.0, "/site", **changes)


@pytest.fixture
def metrics() -> Metrics:
    """Return metrics of which each has a sample."""
    made = Metrics("n1", "1.0")
    made.take(status(revision="d46d8884f8d4", planes=(PlaneStatus("nftables"),)))
    made.applied("nftables", 0.1, 1, 1.0, whole=True)
    made.repaired("nftables")
    made.asked("/healthz", 200)
    made.asked("/livez", 200)
    made.watch_local_policies(tuple)
    site = decode(encode(msgspec.structs.replace(EMPTY, services=(site_service(1, []),))))
    made.watch_endpoints(lambda: EndpointCounts().exposition(site, frozenset()))
    return made


def families(metrics: Metrics) -> list[Metric]:
    """Return what Prometheus reads, also what has no sample yet, but for times of creation."""
    found = text_string_to_metric_families(metrics.exposition().decode())
    return [family for family in found if not family.name.endswith("_created")]


def samples(metrics: Metrics) -> dict[str, float]:
    """Return the samples as Prometheus reads them, by name and labels' values."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in families(metrics)
        for sample in family.samples
    }


def exported(metrics: Metrics) -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each metric of ours by its name, that of its samples."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families(metrics)
        if not family.name.startswith("process_")
    }


def test_the_documentation_has_each_metric_and_no_other(metrics: Metrics) -> None:
    text = Path("docs/metrics.md").read_text()
    documented = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in DOCUMENTED.findall(text)
    }
    assert documented == exported(metrics)


def test_names_follow_the_rules_of_prometheus(metrics: Metrics) -> None:
    found = exported(metrics)
    assert [] == [
        name for name in found if not re.fullmatch(r"(kubeproxy|groundplane)(_[a-z]+)+", name)
    ]
    # kube-proxy calls one of its gauges as a counter is called.
    assert ["kubeproxy_sync_proxy_rules_no_local_endpoints_total"] == [
        name for name, (kind, _) in found.items() if (kind == "counter") != name.endswith("_total")
    ]
    units = ("_seconds", "_seconds_total")
    assert [] == [name for name in found if "duration" in name and not name.endswith(units)]
    assert [] == [name for name in found if "timestamp" in name and not name.endswith(units)]
    assert [] == [name for name in found if re.search(r"_(milliseconds|ms|kilobytes)(_|$)", name)]


def test_each_has_a_help_text(metrics: Metrics) -> None:
    assert [] == [family.name for family in families(metrics) if not family.documentation]


def test_what_is_brought_is_counted_for_its_dataplane() -> None:
    metrics = Metrics("n1", "1.0")
    metrics.applied("nftables", 0.25, 3, 1000.0, whole=True)
    metrics.applied("nftables", 0.25, 2, 2000.0, whole=False)
    metrics.applied("conntrack", 0.5, 1, 3000.0, whole=False)
    metrics.refused("nftables")
    metrics.refused("dns")
    metrics.repaired("links")
    expected = {
        "groundplane_dataplane_objects_total nftables": 5,
        "groundplane_dataplane_objects_total conntrack": 1,
        "groundplane_dataplane_busy_seconds_total nftables": 0.5,
        "groundplane_dataplane_repairs_total links": 1,
        "kubeproxy_sync_proxy_rules_duration_seconds_count": 2,
        "kubeproxy_sync_proxy_rules_duration_seconds_sum": 0.5,
        "kubeproxy_sync_full_proxy_rules_duration_seconds_count": 1,
        "kubeproxy_sync_partial_proxy_rules_duration_seconds_count": 1,
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds": 2000,
        "kubeproxy_conntrack_reconciler_sync_duration_seconds_count": 1,
        "kubeproxy_sync_proxy_rules_nftables_sync_failures_total": 1,
    }
    found = samples(metrics)
    assert expected == {name: found[name] for name in expected}


def test_counters_of_a_dataplane_and_of_answers_begin_with_0() -> None:
    """Prometheus sees no increase from no sample to the first one."""
    metrics = Metrics("n1", "1.0")
    metrics.take(status(planes=(PlaneStatus("nftables"),)))
    found = samples(metrics)
    assert 0 == found["groundplane_dataplane_repairs_total nftables"]
    assert 0 == found["groundplane_dataplane_objects_total nftables"]
    assert 0 == found["kubeproxy_proxy_healthz_total 503"]


def test_services_that_a_local_policy_leaves_no_endpoint_are_counted_by_policy() -> None:
    metrics = Metrics("n1", "1.0")
    elsewhere = service("web", ["10.96.0.5"], ["10.244.1.2:80"])
    local = msgspec.structs.replace(elsewhere, external_local=True)
    nowhere = msgspec.structs.replace(service("api", ["10.96.0.6"]), external_local=True)
    metrics.watch_local_policies(lambda: (elsewhere, local, nowhere))
    name, found = "kubeproxy_sync_proxy_rules_no_local_endpoints_total", samples(metrics)
    assert (0, 1) == (found[f"{name} internal"], found[f"{name} external"])


def test_deleted_conntrack_entries_are_counted_by_family_from_0() -> None:
    metrics = Metrics("n1", "1.0")
    metrics.deleted("IPv6")
    metrics.deleted("IPv6")
    name, found = "kubeproxy_conntrack_reconciler_deleted_entries_total", samples(metrics)
    assert (0, 2) == (found[f"{name} IPv4"], found[f"{name} IPv6"])


def test_changes_are_counted_when_they_are_seen_and_timed_when_they_are_made() -> None:
    metrics = Metrics("n1", "1.0")
    metrics.seen(1000.0, services=3)
    metrics.seen(2000.0, workloads=2)
    metrics.made(0.004)
    expected = {
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds": 2000,
        "kubeproxy_sync_proxy_rules_service_changes_total": 3,
        "kubeproxy_sync_proxy_rules_endpoint_changes_total": 2,
        "kubeproxy_network_programming_duration_seconds_bucket 0.0032": 0,
        "kubeproxy_network_programming_duration_seconds_bucket 0.0064": 1,
    }
    found = samples(metrics)
    assert expected == {name: found[name] for name in expected}


@pytest.mark.parametrize(
    ("error", "ok", "held"),
    [
        ("", 1, 0),
        ("a.yaml:1: not YAML", 0, 0),
        ("held back: 34 of 66 services would be gone", 0, 1),
    ],
)
def test_a_change_that_is_held_back_is_told_from_a_fault(error: str, ok: int, held: int) -> None:
    metrics = Metrics("n1", "1.0")
    metrics.take(status(source_error=error, change_held=bool(held)))
    found = samples(metrics)
    assert (ok, held) == (found["groundplane_source_ok"], found["groundplane_change_held_back"])


def test_only_the_revision_in_use_is_shown() -> None:
    metrics = Metrics("n1", "1.0")
    for revision in ("d46d8884f8d4", "0123456789ab"):
        metrics.take(status(revision=revision))
    found = [name for name in samples(metrics) if name.startswith("groundplane_revision_info")]
    assert ["groundplane_revision_info 0123456789ab"] == found


def test_what_is_behind_or_contested_shows_by_dataplane() -> None:
    metrics = Metrics("n1", "1.0")
    planes = (PlaneStatus("links", error="refused"), PlaneStatus("dns", contested="by rndc"))
    metrics.take(status(planes=planes, failing=4, probes=7, held=2, store_error="full"))
    expected = {
        "groundplane_dataplane_ok links": 0,
        "groundplane_dataplane_ok dns": 1,
        "groundplane_dataplane_contested links": 0,
        "groundplane_dataplane_contested dns": 1,
        "groundplane_failing_workloads": 4,
        "groundplane_probed_workloads": 7,
        "groundplane_held_workloads": 2,
        "groundplane_store_ok": 0,
    }
    found = samples(metrics)
    assert expected == {name: found[name] for name in expected}
