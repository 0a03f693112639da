"""Addresses that services are reached at from outside: the fixed ones, and where they may lie."""

from typing import Any

import msgspec
import pytest

from groundplane.documents.external import external_ranges, fixed_load_balancer_ips
from groundplane.documents.service import ADDRESSES
from groundplane.documents.site import LoadBalancerPool
from tests.catalogs import cluster, service

_NOTED = f"metadata.annotations.{ADDRESSES}"


@pytest.mark.parametrize(
    ("annotations", "spec", "fixed"),
    [
        ({}, {}, []),
        ({}, {"load_balancer_ip": ""}, []),
        ({}, {"load_balancer_ip": "192.0.2.1"}, [("spec.loadBalancerIP", "192.0.2.1")]),
        ({ADDRESSES: "192.0.2.1"}, {}, [(_NOTED, "192.0.2.1")]),
        (
            {ADDRESSES: "192.0.2.1, 2001:db8::1"},
            {},
            [(_NOTED, "192.0.2.1"), (_NOTED, "2001:db8::1")],
        ),
    ],
)
def test_a_load_balancers_addresses_are_fixed_by_an_annotation_or_a_field(
    annotations: dict[str, str], spec: dict[str, Any], fixed: list[tuple[str, str]]
) -> None:
    web = service("web", **spec)
    meta = msgspec.structs.replace(web.metadata, annotations=annotations)
    assert fixed_load_balancer_ips(msgspec.structs.replace(web, metadata=meta)) == fixed


def test_external_addresses_lie_in_their_ranges_and_in_pools() -> None:
    site = cluster("10.96.0.0/24")
    pools = (LoadBalancerPool(name="a", cidrs=("192.0.2.0/28", "2001:db8::/64")),)
    spec = msgspec.structs.replace(
        site.spec, external_ip_cidrs=("203.0.113.0/24",), load_balancer_pools=pools
    )
    assert external_ranges(msgspec.structs.replace(site, spec=spec)) == [
        ("spec.externalIPCIDRs[0]", "203.0.113.0/24"),
        ("spec.loadBalancerPools[0].cidrs[0]", "192.0.2.0/28"),
        ("spec.loadBalancerPools[0].cidrs[1]", "2001:db8::/64"),
    ]
