"""Probes as they are run: where they go, and what they ask."""

from pathlib import Path

import pytest

from groundplane.site.compiled import Probe
from tests.catalogs import DUAL
from tests.compile.test_resolve import compile_text

SITE = DUAL.replace(
    "[192.0.2.1,", "[10.244.0.0/24, 'fd00:10:244::/64'], addresses: [192.0.2.1,"
).replace("{addresses: [10", "{workloadSubnets: [10")
WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: web-1}}
spec:
  node: n1
  {place}
  ports: [{{name: web, port: 53, protocol: UDP}}, {{name: http, port: 8080}}]
  readinessProbe: {{{probe}}}
"""
OWN = "addresses: [10.244.0.9, 'fd00:10:244::9']"
HOST = "hostNetwork: true"


def compiled_probe(source: Path, probe: str, place: str = OWN) -> Probe:
    text = WORKLOAD.format(place=place, probe=probe)
    (found,) = compile_text(source, text, SITE).probes
    return found


def of(kind: str, *numbers: int, **rest: object) -> Probe:
    timing = numbers or (0, 10, 1, 1, 3)
    return Probe("default", "web-1", "n1", kind, *timing, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("probe", "place", "expected"),
    [
        ("tcpSocket: {port: http}", OWN, of("tcp", address="10.244.0.9", port=8080)),
        ("tcpSocket: {port: 1}", HOST, of("tcp", address="192.0.2.1", port=1)),
        (
            "tcpSocket: {port: 1, host: 'fd00:10:244:0::9'}",
            OWN,
            of("tcp", address="fd00:10:244::9", port=1),
        ),
        (
            (
                "tcpSocket: {port: 1}, initialDelaySeconds: 5, periodSeconds: 4, "
                "timeoutSeconds: 3, successThreshold: 2, failureThreshold: 1"
            ),
            OWN,
            of("tcp", 5, 4, 3, 2, 1, address="10.244.0.9", port=1),
        ),
        (
            "httpGet: {port: http}",
            OWN,
            of("http", address="10.244.0.9", port=8080, path="/", host="10.244.0.9:8080"),
        ),
        (
            (
                "httpGet: {port: 443, scheme: HTTPS, path: 'a b?q=ä&x=%20#top', httpHeaders: "
                "[{name: host, value: web.example}, {name: X-A, value: b}]}"
            ),
            OWN,
            of(
                "https",
                address="10.244.0.9",
                port=443,
                path="/a%20b?q=%C3%A4&x=%20",
                host="web.example",
                headers=(("X-A", "b"),),
            ),
        ),
        (
            "httpGet: {port: 80, host: 'fd00:10:244::9'}",
            OWN,
            of("http", address="fd00:10:244::9", port=80, path="/", host="[fd00:10:244::9]:80"),
        ),
        (
            "grpc: {port: 9, service: web}",
            OWN,
            of("grpc", address="10.244.0.9", port=9, service="web"),
        ),
        (
            "exec: {command: [/usr/bin/check, -v]}",
            OWN,
            of("exec", command=("/usr/bin/check", "-v"), instance="default-web-1"),
        ),
        ("exec: {command: [/usr/bin/check]}", HOST, of("exec", command=("/usr/bin/check",))),
    ],
)
def test_what_a_probe_comes_to(source: Path, probe: str, place: str, expected: Probe) -> None:
    assert expected == compiled_probe(source, probe, place)


@pytest.mark.parametrize(("state", "expected"), [("active", 1), ("drain", 1), ("'off'", 0)])
def test_who_is_off_is_not_asked(source: Path, state: str, expected: int) -> None:
    text = WORKLOAD.format(place=f"{OWN}\n  state: {state}", probe="tcpSocket: {port: 1}")
    assert expected == len(compile_text(source, text, SITE).probes)


def test_a_probe_with_another_timing_has_the_same_target(source: Path) -> None:
    one = compiled_probe(source, "httpGet: {port: 80}")
    assert one.target == compiled_probe(source, "httpGet: {port: 80}, periodSeconds: 3").target
    assert one.target != compiled_probe(source, "httpGet: {port: 80, path: /x}").target
