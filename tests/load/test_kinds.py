"""Kinds that are read, skipped and refused."""

from pathlib import Path

import pytest

from groundplane.documents.catalog import Catalog
from groundplane.errors import CatalogError
from groundplane.load import load
from tests.catalogs import SITE, faults, write

WEB = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


def load_files(source: Path, files: dict[str, str]) -> Catalog:
    write(source, {"site.yaml": SITE, **files})
    return load(source)


def load_faults(source: Path, files: dict[str, str]) -> list[str]:
    write(source, files)
    with pytest.raises(CatalogError) as caught:
        load(source)
    return str(caught.value).splitlines()


def test_kinds_that_hold_nothing_for_us_are_skipped_with_a_notice(source: Path) -> None:
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\n"  # noqa: S105
    text = f"{deployment}---\n{secret}---\n{deployment}"
    assert load_files(source, {"a.yaml": text}).skipped == (
        "2 Deployment documents skipped: nothing in this kind is for us",
        "1 Secret document skipped: nothing in this kind is for us",
    )


def test_a_kind_that_would_be_lost_in_silence_is_refused(source: Path) -> None:
    text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\n"
    assert load_faults(source, {"site.yaml": SITE, "a.yaml": text}) == [
        (
            "site/a.yaml:2: NetworkPolicy/default/web: kind: "
            "network policies are not supported by this version"
        )
    ]


def test_a_misspelt_kind_of_core_is_not_skipped(source: Path) -> None:
    text = "apiVersion: v1\nkind: Servce\nmetadata: {name: web}\n"
    place, what = "site/test.yaml:2: Servce/default/web", 'v1 has no kind "Servce"'
    assert faults(source, text) == [f'{place}: kind: {what}; did you mean "Service"?']


def document(api: str, kind: str, spec: str = "{}") -> str:
    return f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        ("postgresql.cnpg.io/v1", "Cluster"),
        ("cluster.x-k8s.io/v1beta1", "Cluster"),
        ("kueue.x-k8s.io/v1beta1", "Workload"),
        ("serving.knative.dev/v1", "Service"),
        ("caching.internal.knative.dev/v1alpha1", "Image"),
        ("crd.projectcalico.org/v1", "NetworkPolicy"),
        ("v1", "Node"),
    ],
)
def test_kinds_of_others_that_have_a_name_of_ours_are_skipped(
    source: Path, api: str, kind: str
) -> None:
    text = document(api, kind, "{podCIDR: 10.42.0.0/24}")
    found = load_files(source, {"a.yaml": text})
    notice = f"1 {api} {kind} document skipped: nothing in this kind is for us"
    assert (notice,) == found.skipped


@pytest.mark.parametrize(
    ("api", "kind", "right"),
    [
        ("groundplane.io/v1", "Workload", "groundplane/v1"),
        ("groundplane/v2", "Cluster", "groundplane/v1"),
        ("v1", "Workload", "groundplane/v1"),
        ("v1", "Node", "groundplane/v1"),
        ("core/v1", "Service", "v1"),
        ("apps/v1", "Service", "v1"),
        ("discovery.k8s.io/v1beta1", "EndpointSlice", "discovery.k8s.io/v1"),
    ],
)
def test_a_near_miss_of_our_own_is_an_error(source: Path, api: str, kind: str, right: str) -> None:
    text = document(api, kind, "{addresses: [192.0.2.1]}")
    (found,) = load_faults(source, {"site.yaml": SITE, "a.yaml": text})
    assert found.endswith(f'apiVersion: {kind} has apiVersion "{right}", not "{api}"')


def test_a_typed_list_of_others_that_has_a_name_of_ours_is_skipped(source: Path) -> None:
    text = (
        "apiVersion: multicluster.example/v1\nkind: ServiceList\nitems: [{metadata: {name: a}}]\n"
    )
    assert load_files(source, {"a.yaml": text}).skipped == (
        "1 multicluster.example/v1 Service document skipped: nothing in this kind is for us",
    )
