"""Workloads: a node that exists, ports with names, addresses that can be theirs."""

from pathlib import Path

import pytest

from tests.catalogs import DUAL, faults


def workload(*spec: str) -> str:
    """Return a Workload on n1 with *spec* on line 6."""
    lines = "".join(f"  {line}\n" for line in spec)
    head = "apiVersion: groundplane/v1\nkind: Workload\nmetadata: {name: web-1}\n"
    return f"{head}spec:\n  node: n1\n{lines}"


@pytest.mark.parametrize(
    "spec",
    [
        "hostNetwork: true",
        "hostname: web",
        "weight: 0",
        "weight: 256",
        "state: drain",
        "addresses: [10.244.0.9]",
        "ports: [{port: 8080, name: http}, {port: 8080, name: http-u, protocol: UDP}]",
        "readinessProbe: {httpGet: {port: 80}}",
    ],
)
def test_what_a_workload_may_say(source: Path, spec: str) -> None:
    subnet = "workloadSubnets: [10.244.0.0/24]"
    site = DUAL.replace("{addresses:", f"{{{subnet}, addresses:")
    assert faults(source, workload(spec), site=site) == []


@pytest.mark.parametrize(
    ("name", "hint"), [("web-node-2", '; did you mean "web-node-1"?'), ("db", "")]
)
def test_its_node_exists(source: Path, name: str, hint: str) -> None:
    site = DUAL.replace("n1", "web-node-1")
    assert faults(source, workload().replace("n1", name), site=site) == [
        f'site/test.yaml:5: Workload/default/web-1: spec.node: there is no Node "{name}"{hint}'
    ]


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        ("weight: 257", "spec.weight", "257 is not a weight: 0 to 256"),
        ("weight: -1", "spec.weight", "-1 is not a weight: 0 to 256"),
        (
            "hostname: a.b",
            "spec.hostname",
            '"a.b" is not a DNS label: lower-case letters, digits and inner hyphens (RFC 1123)',
        ),
        ("ports: [{port: 0}]", "spec.ports[0].port", "0 is not a port: 1 to 65535"),
        (
            "ports: [{port: 1, name: HTTP}]",
            "spec.ports[0].name",
            (
                '"HTTP" is not a port name: lower-case letters, digits and single inner hyphens, '
                "at least one letter (RFC 6335)"
            ),
        ),
        (
            "ports: [{port: 1, name: a}, {port: 2, name: a}]",
            "spec.ports[1].name",
            'duplicate port name "a"; rename one',
        ),
        ("addresses: [web]", "spec.addresses[0]", '"web" is not an IP address'),
        (
            "addresses: [10.244.0.7, 10.244.0.8]",
            "spec.addresses[1]",
            "a second IPv4 address; one per family",
        ),
        ("addresses: ['fd00::1']", "spec.addresses[0]", "the site has no IPv6 range"),
        (
            "{hostNetwork: true, addresses: [10.244.0.7]}",
            "spec.addresses",
            "a workload with hostNetwork has its node's addresses",
        ),
    ],
)
def test_what_a_workload_may_not_say(source: Path, spec: str, path: str, fault: str) -> None:
    text = workload(spec)
    if spec.startswith("{"):
        text = workload(*spec.strip("{}").split(", ", 1))
    line = 7 if spec.startswith("{") else 6
    assert faults(source, text) == [
        f"site/test.yaml:{line}: Workload/default/web-1: {path}: {fault}"
    ]


def test_two_workloads_of_a_node_have_units_of_different_names(source: Path) -> None:
    one = workload().replace("{name: web-1}", "{name: c, namespace: a-b}")
    other = workload().replace("{name: web-1}", "{name: b-c, namespace: a}")
    assert faults(source, f"{one}---\n{other}") == [
        (
            'site/test.yaml:9: Workload/a/b-c: metadata.name: its unit "a-b-c" is also that of '
            "Workload/a-b/c"
        )
    ]
