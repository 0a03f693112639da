"""Names, namespaces and labels of every kind."""

from pathlib import Path

import pytest

from tests.catalogs import SITE, faults

_LABEL = "lower-case letters, digits and inner hyphens (RFC 1123)"


@pytest.mark.parametrize(
    ("kind", "rest", "key"),
    [
        ("v1, kind: Service", "spec: {ports: [{port: 80}]}", "Service/default/A_b"),
        ("v1, kind: Namespace", "spec: {}", "Namespace/A_b"),
        ("groundplane/v1, kind: Node", "spec: {addresses: [192.0.2.9]}", "Node/A_b"),
        ("groundplane/v1, kind: Workload", "spec: {node: n1}", "Workload/default/A_b"),
        (
            "discovery.k8s.io/v1, kind: EndpointSlice",
            "addressType: IPv4",
            "EndpointSlice/default/A_b",
        ),
    ],
)
def test_a_name_is_a_label(source: Path, kind: str, rest: str, key: str) -> None:
    label = 'labels: {"kubernetes.io/service-name": x}'
    text = f"{{apiVersion: {kind},\nmetadata: {{name: A_b, {label}}},\n{rest}}}\n"
    assert faults(source, text) == [
        f'site/test.yaml:2: {key}: metadata.name: "A_b" is not a DNS label: {_LABEL}'
    ]


def test_the_name_of_the_cluster_is_a_label(source: Path) -> None:
    assert faults(source, site=SITE.replace("{name: lab}", "{name: A_b}")) == [
        f'site/site.yaml:3: Cluster/A_b: metadata.name: "A_b" is not a DNS label: {_LABEL}'
    ]


def test_the_name_of_a_slice_may_be_a_domain(source: Path) -> None:
    """Tools other than Kubernetes' own name slices so."""
    text = """\
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web.example.org, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        """
    assert faults(source, text) == []


@pytest.mark.parametrize("name", ["n1.rack2.example.org", f"{'a' * 61}.bc"])
def test_the_name_of_a_machine_may_have_dots(source: Path, name: str) -> None:
    node = f"{{apiVersion: groundplane/v1, kind: Node, metadata: {{name: {name}}},\n"
    assert faults(source, f"{node} spec: {{addresses: [192.0.2.9]}}}}\n") == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("n1.", f'"" is not a DNS label: {_LABEL}'),
        ("n1..a", f'"" is not a DNS label: {_LABEL}'),
        (f"{'a' * 62}.bc", "a host name has at most 64 characters, this one 65"),
    ],
)
def test_a_machine_has_the_name_of_a_host(source: Path, name: str, fault: str) -> None:
    node = f"{{apiVersion: groundplane/v1, kind: Node, metadata: {{name: {name}}},\n"
    found = faults(source, f"{node} spec: {{addresses: [192.0.2.9]}}}}\n")
    assert found == [f"site/test.yaml:1: Node/{name}: metadata.name: {fault}"]


def test_a_namespace_is_a_label(source: Path) -> None:
    text = """\
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          namespace: a.b
        spec: {ports: [{port: 80}]}
        """
    assert faults(source, text) == [
        f'site/test.yaml:5: Service/a.b/web: metadata.namespace: "a.b" is not a DNS label: {_LABEL}'
    ]


def test_every_label_is_named_with_its_line(source: Path) -> None:
    text = """\
        apiVersion: groundplane/v1
        kind: Workload
        metadata:
          name: web
          labels:
            app.example/name: web
            app.example/tier: "-"
            "a b": c
        spec: {node: n1}
        """
    assert faults(source, text) == [
        (
            'site/test.yaml:7: Workload/default/web: metadata.labels["app.example/tier"]: '
            '"-" is not a label value: at most 63 letters, digits, "-", "_" and "."'
        ),
        (
            'site/test.yaml:8: Workload/default/web: metadata.labels.a b: "a b" is not a label key: '
            'letters, digits, "-", "_", ".", with an optional domain/'
        ),
    ]
