"""Endpoints of services: target ports that they have, and as many as the kernel takes."""

from pathlib import Path

import pytest

from groundplane.documents.service import LOAD_BALANCING
from groundplane.site.map_limits import (
    MAX_AFFINITY_TIMEOUTS,
    MAX_ENDPOINTS,
    MAX_HASHED_ENDPOINTS,
    MAX_STICKY_ENDPOINTS,
)
from tests.catalogs import faults
from tests.check.documents import PORTS, service, told

WORKLOAD = """\
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: web-1, labels: {app: web}}
spec: {node: n1, ports: [{port: 8080, name: http}, {port: 53, name: dns, protocol: UDP}]}
"""


@pytest.mark.parametrize(
    "port", ["targetPort: http", "targetPort: dns, protocol: UDP", "targetPort: 9"]
)
def test_a_target_port_is_one_that_workloads_have_or_a_number(source: Path, port: str) -> None:
    text = service(f"ports: [{{port: 80, {port}}}]", "selector: {app: web}") + WORKLOAD
    assert faults(source, text) == []


@pytest.mark.parametrize(
    ("port", "fault"),
    [
        (
            "targetPort: htpp",
            'no workload it selects has a TCP port named "htpp"; they have: dns/UDP, http/TCP',
        ),
        (
            "targetPort: dns",
            'no workload it selects has a TCP port named "dns"; they have: dns/UDP, http/TCP',
        ),
    ],
)
def test_a_target_port_that_no_workload_has_lists_those_there_are(
    source: Path, port: str, fault: str
) -> None:
    text = service(f"ports: [{{port: 80, {port}}}]", "selector: {app: web}") + WORKLOAD
    assert faults(source, text) == told(5, "spec.ports[0].targetPort", fault)


def test_the_target_ports_of_an_external_name_mean_nothing(source: Path) -> None:
    spec = ("type: ExternalName", "externalName: example.test", "selector: {app: web}")
    text = service(*spec, "ports: [{port: 80, targetPort: nowhere}]") + WORKLOAD
    assert faults(source, text) == []


def endpoint_slice(family: str, count: int, extra: str = "") -> str:
    """Return an EndpointSlice of `web` with *count* endpoints."""
    address = "192.0.2.9" if family == "IPv4" else "'2001:db8::9'"
    endpoints = ", ".join([f"{{addresses: [{address}]}}"] * count)
    labels = f"{{kubernetes.io/service-name: web{extra}}}"
    name = f"web-{family.lower()}{len(extra)}"
    return (
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        f"metadata: {{name: {name}, labels: {labels}}}\n"
        f"addressType: {family}\nendpoints: [{endpoints}]\n"
    )


STICKY = "sessionAffinity: ClientIP"
HASHED = {LOAD_BALANCING: "consistent-hash"}


@pytest.mark.parametrize(
    ("text", "limit", "what"),
    [
        (service(PORTS), MAX_ENDPOINTS, ""),
        (service(PORTS, STICKY), MAX_STICKY_ENDPOINTS, " with session affinity"),
        (service(PORTS, annotations=HASHED), MAX_HASHED_ENDPOINTS, " with consistent hashing"),
        (service(PORTS, STICKY, "clusterIP: None"), MAX_ENDPOINTS, ""),
    ],
)
def test_a_service_has_as_many_endpoints_of_a_family_as_the_kernel_takes(
    source: Path, text: str, limit: int, what: str
) -> None:
    most = text + endpoint_slice("IPv4", limit) + endpoint_slice("IPv6", limit)
    assert faults(source, most) == []
    assert faults(source, text + endpoint_slice("IPv4", limit + 1)) == [
        (
            "site/test.yaml:1: Service/default/web: "
            f"it has {limit + 1} endpoints; a service{what} has at most {limit}"
        )
    ]


def test_workloads_are_endpoints_of_both_families(source: Path) -> None:
    text = service(PORTS, "selector: {app: web}", annotations=HASHED) + WORKLOAD
    assert faults(source, text + endpoint_slice("IPv6", MAX_HASHED_ENDPOINTS)) == told(
        6,
        "spec.selector",
        f"it has {MAX_HASHED_ENDPOINTS + 1} endpoints; "
        f"a service with consistent hashing has at most {MAX_HASHED_ENDPOINTS}",
    )


def test_slices_that_do_not_count_are_not_counted(source: Path) -> None:
    text = service(PORTS, "selector: {app: web}", annotations=HASHED) + WORKLOAD
    managed = ", endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io"
    assert faults(source, text + endpoint_slice("IPv4", MAX_HASHED_ENDPOINTS + 1, managed)) == []


def sticky(name: str, seconds: int, spec: str = "type: ClusterIP") -> str:
    config = f"sessionAffinityConfig: {{clientIP: {{timeoutSeconds: {seconds}}}}}"
    return service(PORTS, STICKY, config, spec, name=name) + "---\n"


def test_a_site_has_as_many_affinity_timeouts_as_the_kernel_takes(source: Path) -> None:
    many = "".join(sticky(f"s{n:02}", n) for n in range(1, MAX_AFFINITY_TIMEOUTS + 1))
    more = sticky("same", 1) + sticky("headless", 99, "clusterIP: None")
    assert faults(source, many + more) == []
    used = ", ".join(map(str, range(1, MAX_AFFINITY_TIMEOUTS + 1)))
    line = many.count("\n") + 7
    assert faults(source, many + sticky("z", 10800)) == [
        (
            f"site/test.yaml:{line}: Service/default/z: "
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: a site has at most "
            f"{MAX_AFFINITY_TIMEOUTS} different affinity timeouts; these are in use: {used}, 10800"
        )
    ]
