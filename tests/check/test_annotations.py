"""Annotations of a Service: groundplane's own are known, or errors."""

from pathlib import Path

import pytest

from groundplane.documents.service import (
    ADDRESSES,
    KEEP_LAST,
    LOAD_BALANCER_CLASS,
    LOAD_BALANCING,
    POOL,
)
from tests.catalogs import faults
from tests.check.documents import PORTS, SITE, service

LOAD_BALANCER = "type: LoadBalancer"


@pytest.mark.parametrize(
    ("name", "value", "spec"),
    [
        (LOAD_BALANCING, "random", "type: ClusterIP"),
        (LOAD_BALANCING, "consistent-hash", LOAD_BALANCER),
        (KEEP_LAST, "true", "type: ClusterIP"),
        (KEEP_LAST, "false", "clusterIP: None"),
        (POOL, "public", LOAD_BALANCER),
        (POOL, "lab", f"{LOAD_BALANCER}, loadBalancerClass: {LOAD_BALANCER_CLASS}"),
        (ADDRESSES, "203.0.113.7", LOAD_BALANCER),
        (ADDRESSES, "2001:db8:1::7, 198.51.100.7", f"{LOAD_BALANCER}, ipFamilyPolicy: RequireDualStack"),
        ("example.com/groundplane", "anything", "type: ClusterIP"),
    ],
)  # fmt: skip
def test_what_an_annotation_may_say(source: Path, name: str, value: str, spec: str) -> None:
    text = service(PORTS, *spec.split(", "), annotations={name: value})
    assert faults(source, text, site=SITE) == []


_ONLY = "it needs type LoadBalancer, and no loadBalancerClass but groundplane/load-balancer"


@pytest.mark.parametrize(
    ("name", "value", "spec", "fault"),
    [
        (
            LOAD_BALANCING,
            "consistent-hsh",
            "type: ClusterIP",
            (
                'expected "random" or "consistent-hash", got "consistent-hsh"; '
                'did you mean "consistent-hash"?'
            ),
        ),
        (
            LOAD_BALANCING,
            "consistent-hash",
            "sessionAffinity: ClientIP",
            "sessionAffinity ClientIP is given too: one of the two",
        ),
        (
            LOAD_BALANCING,
            "random",
            "clusterIP: None",
            "a service that is headless balances nothing",
        ),
        (
            LOAD_BALANCING,
            "random",
            "type: ExternalName, externalName: a",
            "a service of type ExternalName balances nothing",
        ),
        (KEEP_LAST, "yes", "type: ClusterIP", 'expected "true" or "false", got "yes"'),
        (
            KEEP_LAST,
            "true",
            "type: ExternalName, externalName: a",
            "a service of type ExternalName has no endpoints",
        ),
        (
            POOL,
            "publik",
            LOAD_BALANCER,
            'the Cluster has no load-balancer pool "publik"; did you mean "public"?',
        ),
        (
            POOL,
            "other",
            LOAD_BALANCER,
            'the Cluster has no load-balancer pool "other"; there are: public, lab',
        ),
        (POOL, "public", "type: NodePort", _ONLY),
        (POOL, "public", f"{LOAD_BALANCER}, loadBalancerClass: example.com/vip", _ONLY),
        (ADDRESSES, "203.0.113.7", "type: ClusterIP", _ONLY),
        (
            ADDRESSES,
            "203.0.113.7",
            f"{LOAD_BALANCER}, loadBalancerIP: 203.0.113.7",
            "spec.loadBalancerIP is given too: one of the two",
        ),
        (
            "groundplane/load-balancer-ip",
            "203.0.113.7",
            LOAD_BALANCER,
            (
                'unknown annotation "groundplane/load-balancer-ip"; '
                'did you mean "groundplane/load-balancer-ips"?'
            ),
        ),
    ],
)
def test_what_an_annotation_may_not_say(
    source: Path, name: str, value: str, spec: str, fault: str
) -> None:
    text = service(PORTS, *spec.split(", "), annotations={name: value})
    assert faults(source, text, site=SITE) == [
        f"site/test.yaml:3: Service/default/web: metadata.annotations.{name}: {fault}"
    ]


def test_a_site_without_pools_says_so(source: Path) -> None:
    text = service(PORTS, LOAD_BALANCER, annotations={POOL: "public"})
    (fault,) = faults(source, text)
    assert fault.endswith('the Cluster has no load-balancer pool "public"; there are: none')


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("groundplane/top-level-domain: accepted", ""),
        ("groundplane/top-level-domain: 'true'", 'expected "accepted", got "true"'),
        ("groundplane/top-level-domains: accepted", "unknown annotation"),
        ("example.com/any: thing", ""),
    ],
)
def test_annotations_of_a_namespace(source: Path, annotation: str, message: str) -> None:
    text = (
        f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: com, annotations: {{{annotation}}}}}\n"
    )
    found = faults(source, text)
    assert bool(message) == bool(found)
    assert all("Namespace/com: metadata.annotations" in each and message in each for each in found)
