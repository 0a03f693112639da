"""Proxy mode, schedulers, and what IPVS cannot express."""

from pathlib import Path

import pytest

from groundplane.documents.service import LOAD_BALANCING, SCHEDULER
from tests.catalogs import SITE, faults, warned
from tests.check.documents import PORTS, service, told

SPEC = "  serviceCIDRs"
IPVS = SITE.replace(SPEC, f"  proxyMode: ipvs\n{SPEC}", 1)


@pytest.mark.parametrize("value", ["rr", "wlc", "sh,sh-port", "mh,mh-fallback,mh-port"])
def test_schedulers_with_their_flags(source: Path, value: str) -> None:
    site = IPVS.replace(SPEC, f"  ipvs: {{scheduler: '{value}'}}\n{SPEC}")
    text = service(PORTS, annotations={SCHEDULER: value})
    assert [] == faults(source, text, site)


BAD = [
    ("wlcc", 'IPVS has no scheduler "wlcc"; did you mean "wlc"?'),
    (
        "x",
        'IPVS has no scheduler "x"; there are: rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, mh',
    ),
    ("mh,sh-port", 'the scheduler mh has no flag "sh-port"; it has mh-fallback and mh-port'),
    ("rr,port", 'the scheduler rr has no flag "port", nor any other'),
    ("sh,sh-port,sh-port", '"sh,sh-port,sh-port" names a flag twice'),
]


@pytest.mark.parametrize(("value", "fault"), BAD)
def test_an_unknown_scheduler_is_one_fault(source: Path, value: str, fault: str) -> None:
    text = service(PORTS, annotations={SCHEDULER: value})
    assert told(3, f"metadata.annotations.{SCHEDULER}", fault) == faults(source, text)
    site = SITE.replace(SPEC, f"  ipvs: {{scheduler: '{value}'}}\n{SPEC}")
    wanted = f"site/site.yaml:5: Cluster/lab: spec.ipvs.scheduler: {fault}"
    assert [wanted] == faults(source, "", site)


@pytest.mark.parametrize(
    ("spec", "annotations", "fault"),
    [
        ("clusterIP: None", {}, "a service that is headless balances nothing"),
        (
            "type: ClusterIP",
            {LOAD_BALANCING: "consistent-hash"},
            'groundplane/load-balancing "consistent-hash" is given too: one of the two',
        ),
    ],
)
def test_a_scheduler_needs_something_to_balance(
    source: Path, spec: str, annotations: dict[str, str], fault: str
) -> None:
    text = service(PORTS, spec, annotations=annotations | {SCHEDULER: "rr"})
    assert told(3, f"metadata.annotations.{SCHEDULER}", fault) == faults(source, text)


@pytest.mark.parametrize("seconds", [-1, 86401])
def test_a_time_that_is_none(source: Path, seconds: int) -> None:
    site = SITE.replace(SPEC, f"  ipvs: {{drainSeconds: {seconds}}}\n{SPEC}")
    fault = f"{seconds} is not a time: 0 to 86400 seconds"
    assert [f"site/site.yaml:5: Cluster/lab: spec.ipvs.drainSeconds: {fault}"] == faults(
        source, "", site
    )


WORKLOAD = """\
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: a, labels: {app: web}}
spec: {node: n1, addresses: [10.244.0.9], weight: 3}
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: b, labels: {app: web}}
spec: {node: n1, addresses: [10.244.0.8]}
"""
OTHER_NODE = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n2}
spec: {addresses: [192.0.2.2]}
"""
STICKY = service(
    "type: NodePort", "externalTrafficPolicy: Local", "sessionAffinity: ClientIP",
    "selector: {app: web}", PORTS,
)  # fmt: skip
HASHED = service("selector: {app: web}", PORTS, annotations={LOAD_BALANCING: "consistent-hash"})


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (STICKY, "spec.sessionAffinity", "does not stay with its endpoint"),
        (HASHED, f"metadata.annotations.{LOAD_BALANCING}", "the weights of its workloads do not"),
    ],
)
@pytest.mark.parametrize("mode", ["of the site", "of a node"])
def test_what_ipvs_cannot_express_is_a_warning_where_it_balances(
    source: Path, text: str, path: str, message: str, mode: str
) -> None:
    assert [] == warned(source, text + WORKLOAD)
    site = IPVS if mode == "of the site" else SITE.replace("1]}", "1], proxyMode: ipvs}")
    (warning,) = warned(source, text + WORKLOAD, site)
    assert path in warning
    assert message in warning


def test_clients_are_hashed_otherwise_where_rules_choose(source: Path) -> None:
    site = SITE.replace("1]}", "1], proxyMode: ipvs}") + OTHER_NODE
    text = HASHED + WORKLOAD.replace(", weight: 3", "")
    (warning,) = warned(source, text, site)
    assert "a client gets another endpoint than on the other nodes" in warning
