"""Readiness probes: such that could run, and that ask nobody but their workload."""

from pathlib import Path

import pytest

from groundplane.check.probes import MANY_NODES
from tests.catalogs import SITE, faults, warned

OWN = "addresses: [10.244.0.9], "
FOREIGN = SITE.replace("spec:\n", "spec:\n  probes: {foreignHosts: true}\n", 1)


def workload(probe: str, spec: str = "") -> str:
    """Return a Workload on n1 with *probe* on line 5."""
    ports = "ports: [{port: 80, name: http}, {port: 53, name: dns, protocol: UDP}]"
    return (
        "apiVersion: groundplane/v1\nkind: Workload\nmetadata: {name: web-1}\nspec:\n"
        f"  {{node: n1, {spec}{ports}, readinessProbe: {probe}}}\n"
    )


@pytest.mark.parametrize(
    ("probe", "spec"),
    [
        ("{httpGet: {port: http}}", ""),
        ("{httpGet: {port: 80, httpHeaders: [{name: Host, value: a b}]}}", ""),
        ("{httpGet: {port: 80, host: 10.244.0.9, scheme: HTTPS}}", OWN),
        ("{tcpSocket: {port: http, host: 192.0.2.1}}", "hostNetwork: true, "),
        ("{tcpSocket: {port: 80, host: ''}}", ""),
        ("{grpc: {port: 65535, service: web}}", ""),
        ("{exec: {command: [/usr/bin/check]}, initialDelaySeconds: 0}", ""),
    ],
)
def test_what_a_probe_may_say(source: Path, probe: str, spec: str) -> None:
    site = SITE.replace("{addresses:", "{workloadSubnets: [10.244.0.0/24], addresses:")
    assert faults(source, workload(probe, spec), site=site) == []


_ONE = "one of httpGet, tcpSocket, exec and grpc is needed"
_LEAVE = (
    "{} is not an address of this workload: leave it out, or let probes ask others "
    "by spec.probes.foreignHosts of the Cluster"
)


@pytest.mark.parametrize(
    ("probe", "path", "fault"),
    [
        ("{}", "", _ONE),
        ("{httpGet: {port: 80}, tcpSocket: {port: 80}}", "", _ONE),
        ("{tcpSocket: {port: 0}}", ".tcpSocket.port", "0 is not a port: 1 to 65535"),
        ("{grpc: {port: 65536}}", ".grpc.port", "65536 is not a port: 1 to 65535"),
        (
            "{httpGet: {port: '80'}}",
            ".httpGet.port",
            (
                '"80" is not a port name: lower-case letters, digits and single inner hyphens, '
                "at least one letter (RFC 6335)"
            ),
        ),
        (
            "{httpGet: {port: dns}}",
            ".httpGet.port",
            'it has no TCP port named "dns"; it has: http',
        ),
        (
            "{tcpSocket: {port: 80}, periodSeconds: 0}",
            ".periodSeconds",
            "0 is too small: at least 1",
        ),
        (
            "{tcpSocket: {port: 80}, initialDelaySeconds: -1}",
            ".initialDelaySeconds",
            "-1 is too small: at least 0",
        ),
        (
            "{tcpSocket: {port: 80}, failureThreshold: 2147483648}",
            ".failureThreshold",
            "2147483648 is too large: at most 2147483647",
        ),
        (
            "{httpGet: {port: 80, httpHeaders: [{name: 'X:', value: a}]}}",
            ".httpGet.httpHeaders[0].name",
            '"X:" is not a header name: letters, digits and hyphens',
        ),
        (
            '{httpGet: {port: 80, httpHeaders: [{name: X, value: "a\\r\\nHost: b"}]}}',
            ".httpGet.httpHeaders[0].value",
            "a header has printable ASCII only",
        ),
        ("{exec: {command: []}}", ".exec.command", "a command is needed"),
        (
            "{httpGet: {port: 80, host: web.example}}",
            ".httpGet.host",
            (
                '"web.example" is not an IP address; '
                "a name for the server to see is an httpHeader, Host"
            ),
        ),
        (
            "{tcpSocket: {port: 22, host: 127.0.0.1}}",
            ".tcpSocket.host",
            "127.0.0.1 is not an address of a host",
        ),
        (
            "{tcpSocket: {port: 22, host: 192.0.2.1}}",
            ".tcpSocket.host",
            _LEAVE.format("192.0.2.1"),
        ),
    ],
)
def test_a_probe_is_one_that_could_run(source: Path, probe: str, path: str, fault: str) -> None:
    """core/v1 Probe; pkg/apis/core/validation: validateProbe."""
    assert faults(source, workload(probe)) == [
        f"site/test.yaml:5: Workload/default/web-1: spec.readinessProbe{path}: {fault}"
    ]


def test_all_faults_of_a_probe_come_at_once(source: Path) -> None:
    assert 4 == len(
        faults(source, workload("{exec: {command: []}, grpc: {port: 0}, periodSeconds: -1}"))
    )


def test_the_cluster_may_let_probes_ask_others(source: Path) -> None:
    asking = workload("{tcpSocket: {port: 22, host: 192.0.2.1}}")
    assert faults(source, asking, site=FOREIGN) == []


def test_exec_is_known_to_one_node_alone(source: Path) -> None:
    assert warned(source, workload("{exec: {command: [/usr/bin/check]}}")) == [
        (
            "site/test.yaml:5: Workload/default/web-1: spec.readinessProbe.exec: "
            "only its own node runs it; the others take the workload for ready"
        )
    ]


NODE = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {{name: m{0}}}
spec: {{addresses: [192.0.2.{0}]}}
"""


@pytest.mark.parametrize(("nodes", "told"), [(MANY_NODES, False), (MANY_NODES + 1, True)])
def test_many_nodes_that_all_probe_are_warned_of(source: Path, nodes: int, told: bool) -> None:
    text = workload("{tcpSocket: {port: 80}}")
    text += "".join(NODE.format(number) for number in range(2, nodes + 1))
    assert (
        warned(source, text)
        == [
            (
                f"site/site.yaml:1: Cluster/lab: each of {nodes} nodes probes 1 workloads; above 50 "
                "nodes let one prober write /etc/groundplane/health.yaml for them instead, and leave "
                "readinessProbe out"
            )
        ]
        * told
    )
