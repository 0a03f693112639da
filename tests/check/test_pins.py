"""Annotations and labels of other programs that pin or restrict: obeyed, or refused by name."""

from pathlib import Path

import pytest

from groundplane.compile.pipeline import allocate_source
from groundplane.compile.resolve import compile_site
from groundplane.documents.annotations import (
    FIXED_ADDRESSES,
    HEADLESS,
    INSTEAD,
    INTERNAL,
    OTHER_PROXY,
    POOLS,
    SOURCE_RANGES,
    UNKNOWN_RESTRICTIONS,
)
from groundplane.documents.path import join
from tests.catalogs import faults, given, read, warned
from tests.check.documents import PORTS, SITE, service, told

BALANCED = "type: LoadBalancer"


def at(name: str) -> str:
    return join("metadata.annotations", name)


def balanced(*spec: str, **annotations: str) -> str:
    return service(BALANCED, PORTS, *spec, annotations=annotations)


@pytest.mark.parametrize("name", FIXED_ADDRESSES)
def test_an_address_that_an_annotation_pins_is_the_one_that_is_given(
    source: Path, name: str
) -> None:
    text = balanced(**{name: "203.0.113.7"})
    assert ("203.0.113.7",) == given(source, text, SITE).load_balancers["default", "web"]


@pytest.mark.parametrize("name", FIXED_ADDRESSES)
def test_a_pinned_address_that_cannot_be_given_is_a_fault(source: Path, name: str) -> None:
    fault = "10.9.9.9 is in no range of the Cluster's externalIPCIDRs or loadBalancerPools"
    text = balanced(**{name: "10.9.9.9"})
    assert told(3, at(name), fault) == faults(source, text, SITE)


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_that_an_annotation_names_is_the_one_that_serves(source: Path, name: str) -> None:
    found = given(source, balanced(**{name: "lab"}), SITE).load_balancers["default", "web"]
    assert found[0] in ("203.0.113.65", "203.0.113.66")


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_that_is_not_there_is_a_fault(source: Path, name: str) -> None:
    fault = 'the Cluster has no load-balancer pool "private"; there are: public, lab'
    text = balanced(**{name: "private"})
    assert told(3, at(name), fault) == faults(source, text, SITE)


def test_annotations_that_agree_are_accepted(source: Path) -> None:
    text = balanced(
        **{
            "metallb.io/loadBalancerIPs": "203.0.113.7",
            "kube-vip.io/loadbalancerIPs": "203.0.113.7",
        }
    )
    assert [] == faults(source, text, SITE)


def test_annotations_that_contradict_each_other_are_faults(source: Path) -> None:
    text = balanced(
        "loadBalancerIP: 203.0.113.9",
        **{
            "metallb.io/loadBalancerIPs": "203.0.113.7",
            "kube-vip.io/loadbalancerIPs": "203.0.113.8",
        },
    )
    assert [
        *told(3, at("kube-vip.io/loadbalancerIPs"),
              "metallb.io/loadBalancerIPs says 203.0.113.7; remove one of the two"),
        *told(3, at("metallb.io/loadBalancerIPs"),
              "spec.loadBalancerIP is 203.0.113.9; remove one of the two"),
    ] == faults(source, text, SITE)  # fmt: skip


def ranges(source: Path, text: str) -> tuple[str, ...]:
    catalog = read(source, text, SITE)
    return compile_site(catalog, allocate_source(source, catalog)[0]).services[0].source_ranges


def test_source_ranges_of_the_annotation_restrict(source: Path) -> None:
    """GetLoadBalancerSourceRanges of k8s.io/cloud-provider."""
    text = balanced(**{SOURCE_RANGES: "192.0.2.0/24, 198.51.100.7/32"})
    assert ("192.0.2.0/24", "198.51.100.7/32") == ranges(source, text)


def test_source_ranges_of_the_spec_come_first(source: Path) -> None:
    text = balanced("loadBalancerSourceRanges: [10.0.0.0/8]", **{SOURCE_RANGES: "192.0.2.0/24"})
    assert ("10.0.0.0/8",) == ranges(source, text)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (
            "192.0.2.7",
            '"192.0.2.7" has no prefix length, as in 192.0.2.7/32',
        ),
        (
            "everyone",
            '"everyone" is not an address range like 10.96.0.0/16 or fd00:10:96::/112',
        ),
    ],
)
def test_a_source_range_that_is_none_is_a_fault(source: Path, value: str, fault: str) -> None:
    text = balanced(**{SOURCE_RANGES: value})
    assert told(3, at(SOURCE_RANGES), fault) == faults(source, text, SITE)


def test_source_ranges_without_a_load_balancer_are_a_fault(source: Path) -> None:
    text = service(PORTS, annotations={SOURCE_RANGES: "192.0.2.0/24"})
    fault = "it needs type LoadBalancer, not ClusterIP"
    assert told(3, at(SOURCE_RANGES), fault) == faults(source, text, SITE)


@pytest.mark.parametrize("name", UNKNOWN_RESTRICTIONS)
def test_a_restriction_that_is_not_understood_is_refused(source: Path, name: str) -> None:
    fault = "unsupported restriction; use spec.loadBalancerSourceRanges, and remove it"
    text = balanced(**{name: "x"})
    assert told(3, at(name), fault) == faults(source, text, SITE)


@pytest.mark.parametrize("name", INTERNAL)
@pytest.mark.parametrize(
    ("value", "refused"), [("true", True), ("Internal", True), ("false", False)]
)
def test_an_internal_load_balancer_has_to_name_its_pool(
    source: Path, name: str, value: str, refused: bool
) -> None:
    assert refused == bool(faults(source, balanced(**{name: value}), SITE))
    pinned = balanced(**{name: value, "groundplane/load-balancer-pool": "lab"})
    assert [] == faults(source, pinned, SITE)


@pytest.mark.parametrize("label", [OTHER_PROXY, HEADLESS])
@pytest.mark.parametrize(
    ("spec", "refused"), [("type: ClusterIP", True), ("clusterIP: None", False)]
)
def test_a_service_of_another_proxy_is_refused(
    source: Path, label: str, spec: str, refused: bool
) -> None:
    text = service(spec, PORTS).replace("{name: web}", f"{{name: web, labels: {{{label}: mine}}}}")
    found = faults(source, text, SITE)
    assert refused == bool(found)
    assert all(
        f"{join('metadata.labels', label)}: kube-proxy leaves such a service" in x for x in found
    )


@pytest.mark.parametrize("name", INSTEAD)
def test_what_a_field_stands_for_is_warned_of(source: Path, name: str) -> None:
    text = service(PORTS, annotations={name: "Auto"})
    assert told(3, at(name), f"it has no effect here; use {INSTEAD[name]}") == warned(
        source, text, SITE
    )
