"""Warnings: what is allowed, but seldom meant."""

from pathlib import Path

import pytest

from groundplane.check import warnings
from tests.catalogs import read, warned

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{port: 80}]
  selector: {app: web, tier: front}
---
"""
WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {name: web-1, labels: {app: web, tier: front}}
spec: {node: n1}
---
"""
SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
"""


def test_a_selector_that_matches_is_no_warning(source: Path) -> None:
    assert warned(source, SERVICE + WORKLOAD) == []


def test_a_service_with_slices_needs_no_workload(source: Path) -> None:
    assert warned(source, SERVICE + SLICE) == []


@pytest.mark.parametrize(
    ("lines", "warnings"),
    [
        ("ports: [{port: 80}]", []),
        ("ports: [{name: http, port: 80}]", ['ports[0]: Service/web has no TCP port "http"']),
        (
            "ports: [{port: 80, protocol: UDP}]",
            ["ports[0]: Service/web has no UDP port without a name"],
        ),
        (
            "endpoints: [{addresses: [192.0.2.9]}]",
            ["endpoints: without ports, nothing leads to them"],
        ),
        (
            "ports: [{port: 80}]\nendpoints: [{addresses: [192.0.2.9, 192.0.2.8]}]",
            ["endpoints[0].addresses: only the first one is used, as in Kubernetes"],
        ),
    ],
)
def test_what_leads_to_no_endpoint_of_a_slice(
    source: Path, lines: str, warnings: list[str]
) -> None:
    found = warned(source, f"{SERVICE}{SLICE}{lines}\n")
    assert warnings == [each.partition("EndpointSlice/default/web-1: ")[2] for each in found]


def test_a_service_without_selector_needs_no_workload(source: Path) -> None:
    assert warned(source, SERVICE.replace("{app: web, tier: front}", "{}")) == []


@pytest.mark.parametrize(
    ("workloads", "hint"),
    [
        ("", 'namespace "default" has no workloads'),
        (
            WORKLOAD.replace("tier: front", "tier: frnt"),
            "no workload of namespace default has tier=front, the nearest label is tier=frnt",
        ),
        (
            WORKLOAD.replace("app: web, tier: front", "x: y, 1: '2'").replace("1:", "'1':"),
            "no workload of namespace default has app=web; labels here: 1=2, x=y",
        ),
        (
            WORKLOAD.replace("app: web, tier: front", ""),
            "no workload of namespace default has app=web; labels here: none",
        ),
        (
            WORKLOAD.replace("tier: front", "x: y")
            + WORKLOAD.replace("app: web", "x: y").replace("web-1", "web-2"),
            "no one workload here has all of its labels",
        ),
        (
            WORKLOAD.replace("name: web-1", "name: web-1, namespace: shop"),
            'namespace "shop" has workloads with these labels',
        ),
    ],
)
def test_a_selector_that_matches_nothing_says_what_is_near(
    source: Path, workloads: str, hint: str
) -> None:
    assert warned(source, SERVICE + workloads) == [
        f"site/test.yaml:6: Service/default/web: spec.selector: selector matches no Workload; {hint}"
    ]


@pytest.mark.parametrize(
    "document",
    [
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: LABELLED}}",
        (
            "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, "
            "spec: {jobTemplate: {spec: {template: LABELLED}}}}"
        ),
        "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: web, tier: front}}}",
    ],
)
def test_a_document_with_such_pods_says_what_to_write_instead(source: Path, document: str) -> None:
    labelled = "{metadata: {labels: {app: web, tier: front, x: y}}}"
    (found,) = warned(source, SERVICE + document.replace("LABELLED", labelled))
    kind = document.partition("kind: ")[2].partition(",")[0]
    assert found.endswith(f"; {kind}/a is skipped: write a Workload for each of its replicas")


@pytest.mark.parametrize("pods", ["[]", "{metadata: 1}", "{metadata: {labels: {app: 1}}}"])
def test_what_is_skipped_may_be_anything(source: Path, pods: str) -> None:
    document = f"{{apiVersion: apps/v1, kind: Deployment, spec: {{template: {pods}}}}}"
    (found,) = warned(source, SERVICE + document)
    assert "is skipped" not in found


def test_an_external_name_of_another_type_is_warned_of(source: Path) -> None:
    text = SERVICE.replace("spec:\n", "spec:\n  externalName: db.example\n")
    assert any(
        each.endswith(
            "spec.externalName: it has no effect: only a service of type ExternalName uses it"
        )
        for each in warned(source, text)
    )


MANAGED = """\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  labels:
    kubernetes.io/service-name: web
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [198.51.100.7]}]
"""


def test_a_slice_that_kubernetes_wrote_is_used_with_a_warning(source: Path) -> None:
    assert ["Kubernetes wrote it for pods; nothing here keeps these endpoints up to date"] == [
        each.rpartition("metadata.labels: ")[2] for each in warned(source, SERVICE + MANAGED)
    ]


def test_a_slice_without_its_service_is_warned_of(source: Path) -> None:
    text = """\
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
        addressType: IPv4
        """
    (warning,) = warned(source, text)
    assert warning.endswith('metadata.labels: there is no Service "db" in namespace "default"')


def test_very_many_services_that_select_nothing_share_the_work_of_hints(source: Path) -> None:
    """Each would look at each workload and compare its labels with all of them."""
    workload = (
        "---\napiVersion: groundplane/v1\nkind: Workload\n"
        "metadata: {{name: w{0}, labels: {{app: a{0}x}}}}\nspec: {{node: n1, hostNetwork: true}}\n"
    )
    service = (
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{0}}}\n"
        "spec: {{clusterIP: None, selector: {{app: a{0}y}}, ports: [{{port: 80}}]}}\n"
    )
    text = "".join(each.format(number) for each in (workload, service) for number in range(2000))
    found = [fault.message for fault in warnings(read(source, text))]
    assert "the nearest label is app=a0x" in found[0]
    assert {"selector matches no Workload"} == set(found[300:])
