"""What the Cluster says of tenants."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from groundplane.check import warnings
from tests.catalogs import SITE, faults, read, write


def with_tenants(*tenants: str) -> str:
    listed = "".join(f"  - {{{each}}}\n" for each in tenants)
    return SITE.replace("  endpoints:", f"  tenants:\n{listed}  endpoints:", 1)


@pytest.mark.parametrize(
    ("tenant", "path", "message"),
    [
        ("name: A, paths: [a]", "name", '"A" is not a DNS label: '),
        ("name: a, paths: []", "paths", "at least one path is needed"),
        ("name: a, paths: [/a]", "paths[0]", '"/a" is not a file or folder below'),
        ("name: a, paths: [a/../b]", "paths[0]", '"a/../b" is not a file or folder'),
        ("name: a, paths: [.]", "paths[0]", '"." is not a file or folder below'),
        ("name: a, paths: ['teams/*']", "paths[0]", '"teams/*" has a wildcard'),
        ("name: a, paths: [a, ./a/]", "paths[0]", '"a" is a path of two tenants, or twice of one'),
        ("name: a, paths: [a], namespaces: [A]", "namespaces[0]", '"A" is not a lower-case name'),
        ("name: a, paths: [a], nodes: ['']", "nodes[0]", '"" is not a lower-case name'),
        (
            "name: a, paths: [a], externalNames: ['[a]']",
            "externalNames[0]",
            '"[a]" is not a lower-case',
        ),
        ("name: a, paths: [a], cidrs: [10.0.0.1/8]", "cidrs[0]", '"10.0.0.1/8" has bits set'),
        (
            "name: a, paths: [a], nodePorts: [0]",
            "nodePorts[0]",
            '"0" is neither a port nor a range',
        ),
        (
            "name: a, paths: [a], hostPorts: [9-8]",
            "hostPorts[0]",
            '"9-8" is neither a port nor a range',
        ),
        (
            "name: a, paths: [a], hostPorts: [http]",
            "hostPorts[0]",
            '"http" is neither a port nor a',
        ),
        ("name: a, paths: [a], loadBalancerPools: [x]", "loadBalancerPools[0]", 'no pool "x"'),
        ("name: a, paths: [a], kinds: [Cluster]", "kinds[0]", "Cluster"),
        ("name: a, paths: [a], port: 80", "port", 'unknown field "port"'),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    source: Path, tenant: str, path: str, message: str
) -> None:
    found = faults(source, site=with_tenants(tenant))
    assert found
    assert f"Cluster/lab: spec.tenants[0].{path}: " in found[0]
    assert message in found[0]


def test_two_tenants_have_two_names_and_no_path_in_common(source: Path) -> None:
    found = faults(source, site=with_tenants("name: a, paths: [x]", "name: a, paths: [x/]"))
    assert [
        'spec.tenants[0].name: a second tenant named "a"',
        'spec.tenants[0].paths[0]: "x" is a path of two tenants, or twice of one',
        'spec.tenants[1].name: a second tenant named "a"',
        'spec.tenants[1].paths[0]: "x/" is a path of two tenants, or twice of one',
    ] == [each.split("Cluster/lab: ")[1] for each in found]


def test_the_cluster_is_written_outside_of_what_it_gives_away(source: Path) -> None:
    (found,) = faults(source, site=with_tenants("name: a, paths: [site.yaml], kinds: [Node]"))
    assert (
        'Cluster/lab: kind: it lies in a path of tenant "a": what tenants may say is said elsewhere'
    ) in found


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        ({}, True),
        ({"teams/a/web.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"}, False),
        ({"teams/ab/web.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"}, True),
    ],
)
def test_a_path_that_nothing_lies_in_restricts_nothing(
    source: Path, files: Mapping[str, str], warned: bool
) -> None:
    write(source, files)
    site = with_tenants("name: a, paths: [teams/a], namespaces: [a], kinds: [Namespace]")
    found = [each.message for each in warnings(read(source, site=site))]
    assert ['no document lies in "teams/a", so it restricts nothing'] * warned == found
