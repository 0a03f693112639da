"""EndpointSlices: endpoints that are written by hand or by another tool."""

from pathlib import Path

import pytest

from tests.catalogs import faults


def endpoint_slice(body: str, labels: str = "{kubernetes.io/service-name: db}") -> str:
    """Return an EndpointSlice with *body* from line 7 on."""
    return (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: db-1\n"
        f"  labels: {labels}\naddressType: IPv4\n{body}\n"
    )


def test_what_a_slice_may_say(source: Path) -> None:
    body = """\
endpoints:
- {addresses: [192.0.2.50], hostname: db-0, nodeName: n1, conditions: {ready: false}}
- {addresses: [192.0.2.51], zone: a, hints: {forZones: [{name: a}], forNodes: [{name: n1}]}}
ports: [{name: sql, port: 5432}, {port: null}]"""
    assert faults(source, endpoint_slice(body)) == []


@pytest.mark.parametrize(("selected", "found"), [("web", 0), ("other", 1)])
def test_a_slice_of_kubernetes_that_is_not_used_has_no_faults(
    source: Path, selected: str, found: int
) -> None:
    """It names nodes that the site has not."""
    managed = "endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io"
    labels = f"{{kubernetes.io/service-name: db, {managed}}}"
    text = endpoint_slice("endpoints: [{addresses: [192.0.2.50], nodeName: kube-3}]", labels)
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\n"
    service += f"spec: {{selector: {{app: {selected}}}, ports: [{{port: 80}}]}}\n"
    workload = (
        "apiVersion: groundplane/v1\nkind: Workload\nmetadata: {name: a, labels: {app: web}}\n"
    )
    workload += "spec: {node: n1, hostNetwork: true}\n"
    assert found == len(faults(source, f"{text}---\n{service}---\n{workload}"))


def test_a_slice_of_kubernetes_without_its_service_has_no_faults(source: Path) -> None:
    managed = "endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io"
    labels = f"{{kubernetes.io/service-name: gone, {managed}}}"
    body = "endpoints: [{addresses: [192.0.2.50], nodeName: kube-3}]"
    assert [] == faults(source, endpoint_slice(body, labels))


def test_a_slice_names_its_service(source: Path) -> None:
    assert faults(source, endpoint_slice("", labels="{app: db}")) == [
        (
            "site/test.yaml:5: EndpointSlice/default/db-1: metadata.labels: "
            "the label kubernetes.io/service-name names its service"
        )
    ]


@pytest.mark.parametrize(
    ("body", "path", "fault"),
    [
        ("ports: [{port: 0}]", "ports[0].port", "0 is not a port: 1 to 65535"),
        (
            "endpoints: [{addresses: []}]",
            "endpoints[0].addresses",
            "at least one address is needed",
        ),
        (
            "endpoints: [{addresses: [db]}]",
            "endpoints[0].addresses[0]",
            '"db" is not an IP address',
        ),
        (
            "endpoints: [{addresses: ['2001:db8::1']}]",
            "endpoints[0].addresses[0]",
            "2001:db8::1 is not an IPv4 address",
        ),
        (
            "endpoints: [{addresses: [127.0.0.1]}]",
            "endpoints[0].addresses[0]",
            "127.0.0.1 cannot be an endpoint",
        ),
        (
            "endpoints: [{addresses: [192.0.2.50], nodeName: n9}]",
            "endpoints[0].nodeName",
            'there is no Node "n9"',
        ),
        (
            "endpoints: [{addresses: [192.0.2.50], hints: {forZones: [{name: a}, {name: ''}]}}]",
            "endpoints[0].hints.forZones[1].name",
            "a name is needed",
        ),
        (
            "endpoints: [{addresses: [192.0.2.50], hints: {forNodes: [{name: ''}]}}]",
            "endpoints[0].hints.forNodes[0].name",
            "a name is needed",
        ),
        (
            "endpoints: [{addresses: [192.0.2.50], hostname: 'a. A 192.0.2.66'}]",
            "endpoints[0].hostname",
            (
                '"a. A 192.0.2.66" is not a DNS label: '
                "lower-case letters, digits and inner hyphens (RFC 1123)"
            ),
        ),
    ],
)
def test_what_a_slice_may_not_say(source: Path, body: str, path: str, fault: str) -> None:
    """ValidateEndpointIP; hostnames become names of the zone."""
    assert faults(source, endpoint_slice(body)) == [
        f"site/test.yaml:7: EndpointSlice/default/db-1: {path}: {fault}"
    ]


def test_an_endpoint_is_no_service(source: Path) -> None:
    body = "endpoints: [{addresses: [10.96.0.5]}]"
    assert faults(source, endpoint_slice(body)) == [
        (
            "site/test.yaml:7: EndpointSlice/default/db-1: endpoints[0].addresses[0]: "
            "10.96.0.5 lies in the service range 10.96.0.0/24: no service is another's endpoint"
        )
    ]
