"""How services of each type are shown, as kubectl shows them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.run import LOCK, SITE, Command

CLUSTER = """\
  externalIPCIDRs: [198.51.100.0/24]
  loadBalancerPools: [{name: public, cidrs: [203.0.113.8/29, '2001:db8:1::/64']}]
"""
MORE = """\
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  externalIPs: [198.51.100.7]
  externalTrafficPolicy: Local
  loadBalancerSourceRanges: [' 192.0.2.0/24', '2001:db8::/32']
  sessionAffinity: ClientIP
  trafficDistribution: PreferSameZone
  ports: [{port: 80}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.99}]}}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: db.example.com, selector: {app: web}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: local, annotations: {groundplane/load-balancing: consistent-hash}}
spec: {externalIPs: [198.51.100.8], internalTrafficPolicy: Local, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nodes}
spec: {type: NodePort, ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: pending}
spec: {type: LoadBalancer, loadBalancerClass: example.com/vip, ports: [{port: 80, nodePort: 30080}]}
"""
MORE_LOCK = """\
HealthCheck/default/balanced 31999
LoadBalancer/default/balanced 203.0.113.10 2001:db8:1::10
NodePort/default/balanced/TCP/80 31080
NodePort/default/nodes/TCP/53 31053
NodePort/default/nodes/UDP/53 31053
NodePort/default/pending/TCP/80 30080
Service/default/balanced 10.96.0.10 fd00:96::10
Service/default/local 10.96.0.11
Service/default/nodes 10.96.0.12
Service/default/pending 10.96.0.13
"""


@pytest.fixture
def more(site: Path) -> Path:
    """Return `site` with services of every type."""
    (site / "site.yaml").write_text(SITE.replace("spec:\n", f"spec:\n{CLUSTER}", 1))
    (site / "more.yaml").write_text(MORE)
    (site / "addresses.lock").write_text(LOCK + MORE_LOCK)
    return site


TABLE = [
    ["balanced", "LoadBalancer", "10.96.0.10,fd00:96::10",
     "203.0.113.10 (not announced),2001:db8:1::10 (not announced),198.51.100.7",
     "80:31080/TCP", "0/0"],
    ["elsewhere", "ExternalName", "<none>", "db.example.com", "5432/TCP", "<none>"],
    ["local", "ClusterIP", "10.96.0.11", "198.51.100.8", "80/TCP", "0/0"],
    ["nodes", "NodePort", "10.96.0.12", "<none>", "53:31053/TCP,53:31053/UDP", "0/0"],
    ["pending", "LoadBalancer", "10.96.0.13", "<pending>", "80:30080/TCP", "0/0"],
    ["web", "ClusterIP", "10.96.0.5", "<none>", "80/TCP", "1/2"],
]  # fmt: skip


def test_a_service_of_each_type_is_a_line(groundplane: Command, more: Path) -> None:
    done = groundplane("get", "services", "./site")
    assert (0, "") == (done.status, done.err)
    heading, *lines = [
        [cell.strip() for cell in line.split("   ") if cell.strip()]
        for line in done.out.splitlines()
    ]
    assert ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "ENDPOINTS"] == heading
    assert TABLE == lines


def test_an_external_name_has_no_endpoints(groundplane: Command, more: Path) -> None:
    assert "elsewhere   <none>" in groundplane("get", "ep", "./site").out
    assert "Endpoints" not in groundplane("describe", "svc", "elsewhere", "./site").out


def shown(groundplane: Command, name: str, output: str = "json") -> Any:
    done = groundplane("get", "svc", name, "-o", output, "./site")
    assert (0, "") == (done.status, done.err)
    return json.loads(done.out) if output == "json" else yaml.safe_load(done.out)


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_machines_get_what_was_given(groundplane: Command, more: Path, output: str) -> None:
    found = shown(groundplane, "balanced", output)
    ingress = [{"ip": "203.0.113.10"}, {"ip": "2001:db8:1::10"}]
    assert {"loadBalancer": {"ingress": ingress}} == found["status"]
    assert 31999 == found["spec"]["healthCheckNodePort"]
    assert [{"port": 80, "nodePort": 31080, "targetPort": 80, "protocol": "TCP"}] == found["spec"][
        "ports"
    ]


def test_a_load_balancer_that_waits_has_an_empty_status(groundplane: Command, more: Path) -> None:
    assert {"loadBalancer": {}} == shown(groundplane, "pending")["status"]


def test_an_external_name_is_shown_as_it_is_written(groundplane: Command, more: Path) -> None:
    assert {
        "type": "ExternalName",
        "externalName": "db.example.com",
        "selector": {"app": "web"},
        "ports": [{"port": 5432, "targetPort": 5432, "protocol": "TCP"}],
    } == shown(groundplane, "elsewhere")["spec"]


DESCRIBED = {
    "balanced": """\
Type:                       LoadBalancer
IP Families:                IPv4,IPv6
IPs:                        10.96.0.10,fd00:96::10
External IPs:               198.51.100.7
LoadBalancer Ingress:       203.0.113.10 (not announced), 2001:db8:1::10 (not announced)
Port:                       <unset>  80/TCP
TargetPort:                 80/TCP
NodePort:                   <unset>  31080/TCP
Session Affinity:           ClientIP (10800 s)
External Traffic Policy:    Local
Internal Traffic Policy:    Cluster
Traffic Distribution:       PreferSameZone
HealthCheck NodePort:       31999
LoadBalancer Source Ranges: 192.0.2.0/24,2001:db8::/32
""",
    "elsewhere": """\
Type:          ExternalName
IP Families:   <none>
IPs:           <none>
External Name: db.example.com
Port:          <unset>  5432/TCP
TargetPort:    5432/TCP
""",
    "local": """\
Type:                    ClusterIP
IP Families:             IPv4
IPs:                     10.96.0.11
External IPs:            198.51.100.8
Port:                    <unset>  80/TCP
TargetPort:              80/TCP
Session Affinity:        None
Load Balancing:          consistent-hash
External Traffic Policy: Cluster
Internal Traffic Policy: Local
""",
    "pending": """\
Type:                    LoadBalancer
IP Families:             IPv4
IPs:                     10.96.0.13
LoadBalancer Ingress:    <pending>
Port:                    <unset>  80/TCP
TargetPort:              80/TCP
NodePort:                <unset>  30080/TCP
Session Affinity:        None
External Traffic Policy: Cluster
Internal Traffic Policy: Cluster
""",
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_description_tells_what_the_type_has(groundplane: Command, more: Path, name: str) -> None:
    done = groundplane("describe", "service", name, "./site")
    assert (0, "") == (done.status, done.err)
    start = done.out.index("Type:")
    end = done.out.find("Endpoints:\n")
    assert DESCRIBED[name] == done.out[start : end if end >= 0 else None]
