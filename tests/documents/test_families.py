"""Which families a service has: KEP-563, as in pkg/registry/core/service/storage/alloc.go."""

from typing import Any

import pytest

from groundplane.documents.families import FamilyError, families_of, site_families
from tests.catalogs import cluster, service

V4, V6 = "10.96.0.0/24", "fd00:10:96::/112"
SITES = {"4": (V4,), "6": (V6,), "46": (V4, V6), "64": (V6, V4)}


@pytest.mark.parametrize(
    ("site", "families"),
    [("4", ("IPv4",)), ("6", ("IPv6",)), ("46", ("IPv4", "IPv6")), ("64", ("IPv6", "IPv4"))],
)
def test_the_first_service_range_is_of_the_sites_primary_family(
    site: str, families: tuple[str, ...]
) -> None:
    assert site_families(cluster(*SITES[site])) == families


@pytest.mark.parametrize(
    ("site", "spec", "families"),
    [
        ("46", {}, ("IPv4",)),
        ("64", {}, ("IPv6",)),
        ("46", {"ip_family_policy": "SingleStack"}, ("IPv4",)),
        ("46", {"ip_families": ("IPv6",)}, ("IPv6",)),
        ("4", {"ip_family_policy": "PreferDualStack"}, ("IPv4",)),
        ("46", {"ip_family_policy": "PreferDualStack"}, ("IPv4", "IPv6")),
        ("64", {"ip_family_policy": "RequireDualStack"}, ("IPv6", "IPv4")),
        (
            "46",
            {"ip_family_policy": "PreferDualStack", "ip_families": ("IPv6",)},
            ("IPv6", "IPv4"),
        ),
        ("46", {"cluster_ip": "fd00:10:96::7"}, ("IPv6",)),
        ("46", {"cluster_ip": "None", "selector": {"a": "b"}}, ("IPv4",)),
        ("46", {"cluster_ip": "None"}, ("IPv4", "IPv6")),
        ("46", {"cluster_ip": "None", "ip_families": ("IPv6",)}, ("IPv6", "IPv4")),
        ("4", {"cluster_ip": "None"}, ("IPv4",)),
        (  # as API servers print it on sites of one family, too
            "4",
            {
                "cluster_ip": "None",
                "ip_families": ("IPv4", "IPv6"),
                "ip_family_policy": "RequireDualStack",
            },
            ("IPv4",),
        ),
        ("46", {"type": "ExternalName"}, ()),
    ],
)
def test_the_families_of_a_service(
    site: str, spec: dict[str, Any], families: tuple[str, ...]
) -> None:
    assert families_of(service("web", **spec), cluster(*SITES[site])) == families


@pytest.mark.parametrize(
    ("site", "spec", "field", "message"),
    [
        ("4", {"ip_families": ("IPv6",)}, "ipFamilies", "the site has no IPv6 service range"),
        ("4", {"cluster_ip": "fd00::1"}, "clusterIP", "the site has no IPv6 service range"),
        ("46", {"ip_families": ("IPv6", "IPv6")}, "ipFamilies", "duplicate family; remove one"),
        (
            "46",
            {"ip_families": ("IPv6", "IPv4")},
            "ipFamilies",
            'two families need ipFamilyPolicy "PreferDualStack" or "RequireDualStack"',
        ),
        (
            "46",
            {"ip_families": ("IPv6", "IPv4"), "ip_family_policy": "SingleStack"},
            "ipFamilyPolicy",
            "two families, but ipFamilyPolicy is SingleStack",
        ),
        (
            "4",
            {"cluster_ip": "None", "ip_family_policy": "RequireDualStack"},  # with a selector
            "ipFamilyPolicy",
            "RequireDualStack, but the site has service ranges of one family only",
        ),
        (
            "4",
            {"ip_family_policy": "RequireDualStack"},
            "ipFamilyPolicy",
            "RequireDualStack, but the site has service ranges of one family only",
        ),
    ],
)
def test_families_that_do_not_fit_name_the_field(
    site: str, spec: dict[str, Any], field: str, message: str
) -> None:
    web = service("web", **{"selector": {"a": "b"}, **spec})
    with pytest.raises(FamilyError) as caught:
        families_of(web, cluster(*SITES[site]))
    assert (caught.value.field, str(caught.value)) == (field, message)
