"""The command, as a person runs it."""

from typing import NamedTuple

import pytest

from groundplane.cli import main

SITE = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: lab}
spec:
  serviceCIDRs: [10.96.0.0/24, 'fd00:96::/112']
  dns: {clusterIPs: []}
  workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}, {cidr: 'fd00:244::/48', nodePrefix: 64}]
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: east}}
spec: {addresses: [192.0.2.1, '2001:db8::1'], workloadSubnets: [10.244.1.0/24, 'fd00:244:0:1::/64']}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: a, labels: {app: web}}
spec: {node: n1, addresses: [10.244.1.10, 'fd00:244:0:1::10'], ports: [{name: http, port: 8080}]}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: b, labels: {app: web}}
spec: {node: n1, hostNetwork: true, state: drain}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.5, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: orders}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
"""
LOCK = """\
# Written by `groundplane allocate`. Keep it in git beside the catalog.
Node/n1 10.244.1.0/24 fd00:244:0:1::/64
Service/default/web 10.96.0.5
Workload/default/a 10.244.1.10 fd00:244:0:1::10
"""
FILES = {"site.yaml": SITE, "addresses.lock": LOCK}


class Done(NamedTuple):
    """How the command ended, and what it said where."""

    status: int
    out: str
    err: str


class Command:
    """Runs `groundplane` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(int(ended.value.code or 0), said.out, said.err)
