"""Cluster and nodes: ranges that do not overlap, and addresses that mean one node each."""

from pathlib import Path

import pytest

from tests.catalogs import DUAL, SITE, faults


def cluster(spec: str) -> str:
    """Return a site whose Cluster has *spec*, from line 5 on."""
    head, node = SITE.split("---\n")
    lines = "".join(f"  {line}\n" for line in spec.splitlines())
    return head.partition("spec:\n")[0] + f"spec:\n{lines}---\n{node}"


def node(spec: str) -> str:
    return f"apiVersion: groundplane/v1\nkind: Node\nmetadata: {{name: n2}}\nspec:\n{spec}\n"


@pytest.mark.parametrize("site", [SITE, DUAL])
def test_a_site_of_one_and_of_two_families(source: Path, site: str) -> None:
    assert faults(source, site=site) == []


@pytest.mark.parametrize(
    ("service", "workload", "path", "other"),
    [
        ("10.244.128.0/20", "10.244.0.0/16", "workloadCIDRs[0].cidr", "10.244.0.0/16"),
        ("10.96.0.0/12", "10.100.0.0/16", "workloadCIDRs[0].cidr", "10.100.0.0/16"),
    ],
)
def test_ranges_of_services_and_workloads_do_not_overlap(
    source: Path, service: str, workload: str, path: str, other: str
) -> None:
    site = cluster(
        f"serviceCIDRs: [{service}]\nworkloadCIDRs: [{{cidr: {workload}, nodePrefix: 24}}]"
    )
    assert faults(source, site=site) == [
        f"site/site.yaml:6: Cluster/lab: spec.{path}: {other} overlaps {service}"
    ]


@pytest.mark.parametrize("text", ["10.96.0.7", "10.244.3.4"])
def test_a_node_address_lies_in_no_range(source: Path, text: str) -> None:
    cidr = "10.96.0.0/24" if text.startswith("10.96") else "10.244.0.0/16"
    assert faults(source, node(f"  addresses: [{text}]")) == [
        f"site/test.yaml:5: Node/n2: spec.addresses[0]: {text} lies in the range {cidr}"
    ]


@pytest.mark.parametrize(
    ("cidr", "fault"),
    [
        ("10.96.0.0", '"10.96.0.0" has no prefix length, as in 10.96.0.0/32'),
        (
            "10.96.0.1/24",
            '"10.96.0.1/24" has bits set behind its prefix; did you mean 10.96.0.0/24?',
        ),
        (
            "10.96.0.0/33",
            '"10.96.0.0/33" is not an address range like 10.96.0.0/16 or fd00:10:96::/112',
        ),
        ("10.96.0.0/255.255.255.0", '"10.96.0.0/255.255.255.0" is written "10.96.0.0/24"'),
        ("10.96.0.0/31", "10.96.0.0/31 is not an IPv4 service range: /8 to /30"),
    ],
)
def test_a_service_range_is_a_range(source: Path, cidr: str, fault: str) -> None:
    site = SITE.replace("10.96.0.0/24", cidr)
    assert faults(source, site=site) == [
        f"site/site.yaml:5: Cluster/lab: spec.serviceCIDRs[0]: {fault}"
    ]


@pytest.mark.parametrize("prefix", [63, 127])
def test_an_ipv6_service_range_is_64_bits_or_longer(source: Path, prefix: int) -> None:
    """ipallocator.NewIPAllocator."""
    cidr = f"fd00::/{prefix}"
    assert faults(source, site=DUAL.replace("fd00:10:96::/112", cidr)) == [
        (
            f"site/site.yaml:5: Cluster/lab: spec.serviceCIDRs[1]: "
            f"{cidr} is not an IPv6 service range: /64 to /126"
        )
    ]


def test_there_is_one_range_per_family(source: Path) -> None:
    site = SITE.replace("[10.96.0.0/24]", "[10.96.0.0/24, 10.97.0.0/24]")
    assert faults(source, site=site) == [
        "site/site.yaml:5: Cluster/lab: spec.serviceCIDRs[1]: a second IPv4 range; one per family"
    ]


@pytest.mark.parametrize(("line", "field"), [(5, "serviceCIDRs: []"), (6, "workloadCIDRs: []")])
def test_there_is_at_least_one_range(source: Path, line: int, field: str) -> None:
    fields = {
        5: "serviceCIDRs: [10.96.0.0/24]",
        6: "workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}]",
        line: field,
    }
    name = field.split(":", maxsplit=1)[0]
    assert faults(source, site=cluster("\n".join(fields.values()))) == [
        f"site/site.yaml:{line}: Cluster/lab: spec.{name}: at least one range is needed"
    ]


def test_workloads_have_a_range_of_every_family_that_services_have(source: Path) -> None:
    site = DUAL.replace(", {cidr: 'fd00:10:244::/56', nodePrefix: 64}", "")
    assert faults(source, site=site) == [
        (
            "site/site.yaml:6: Cluster/lab: spec.workloadCIDRs: "
            "services have IPv6 addresses, so workloads need an IPv6 range too"
        )
    ]


def test_nodes_have_an_address_of_every_family_that_services_have(source: Path) -> None:
    assert faults(source, site=DUAL.replace(", '2001:db8::1'", "")) == [
        (
            "site/site.yaml:12: Node/n1: spec.addresses: "
            "no IPv6 address, though the site's services have IPv6"
        )
    ]


@pytest.mark.parametrize("prefix", [15, 31])
def test_a_part_of_the_workload_range_holds_at_least_one_workload(
    source: Path, prefix: int
) -> None:
    site = SITE.replace("nodePrefix: 24", f"nodePrefix: {prefix}")
    assert faults(source, site=site) == [
        (
            f"site/site.yaml:6: Cluster/lab: spec.workloadCIDRs[0].nodePrefix: "
            f"{prefix} is not a prefix of a part of 10.244.0.0/16: 16 to 30"
        )
    ]


def test_there_is_at_least_one_node(source: Path) -> None:
    assert faults(source, site=SITE.partition("---")[0]) == [
        "site/site.yaml:1: Cluster/lab: there is no Node document; at least one is needed"
    ]


def test_the_cluster_domain_is_a_domain(source: Path) -> None:
    site = SITE.replace("spec:\n", "spec:\n  clusterDomain: lab_1.example\n", 1)
    assert faults(source, site=site) == [
        (
            'site/site.yaml:5: Cluster/lab: spec.clusterDomain: "lab_1" is not a DNS label: '
            "lower-case letters, digits and inner hyphens (RFC 1123)"
        )
    ]


def test_a_range_that_is_not_masqueraded_is_a_range(source: Path) -> None:
    site = SITE.replace("spec:\n", "spec:\n  nonMasqueradeCIDRs: [10.0.0.0/8, x]\n", 1)
    assert faults(source, site=site) == [
        (
            "site/site.yaml:5: Cluster/lab: spec.nonMasqueradeCIDRs[1]: "
            '"x" is not an address range like 10.96.0.0/16 or fd00:10:96::/112'
        )
    ]


EXTERNAL = """\
serviceCIDRs: [10.96.0.0/24]
workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}]
"""


@pytest.mark.parametrize(
    "spec",
    [
        "nodePortRange: 1-65535",
        "nodePortRange: 31000-31000",
        "externalIPCIDRs: [198.51.100.0/24, 'fd00:1::/64']",
        "loadBalancerPools: [{name: a, cidrs: [192.0.2.0/24]}, {name: b, cidrs: [203.0.113.7/32]}]",
        "{externalIPCIDRs: [192.0.2.0/24], loadBalancerPools: [{name: a, cidrs: [192.0.2.0/25]}]}",
        "clusterIPsFromOutside: drop",
    ],
)
def test_what_a_site_may_say_of_outside(source: Path, spec: str) -> None:
    """A pool may hold a node's address: it is not given to anyone."""
    lines = spec.strip("{}").replace("], load", "]\nload") if spec.startswith("{") else spec
    assert faults(source, site=cluster(EXTERNAL + lines)) == []


@pytest.mark.parametrize("text", ["30000", "30000:32767", "2-1", "0-1", "1-65536", "1-2-3", "a-b"])
def test_a_range_of_node_ports_has_two_ports_in_order(source: Path, text: str) -> None:
    assert faults(source, site=cluster(f"{EXTERNAL}nodePortRange: '{text}'")) == [
        (
            "site/site.yaml:7: Cluster/lab: spec.nodePortRange: "
            f'"{text}" is not a range of ports like 30000-32767'
        )
    ]


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        (
            "externalIPCIDRs: [198.51.100.7/24]",
            "externalIPCIDRs[0]",
            '"198.51.100.7/24" has bits set behind its prefix; did you mean 198.51.100.0/24?',
        ),
        ("externalIPCIDRs: [10.96.0.0/25]", "externalIPCIDRs[0]", "10.96.0.0/25 overlaps 10.96.0.0/24"),
        (
            "loadBalancerPools: [{name: a, cidrs: [10.96.0.0/16]}]",
            "loadBalancerPools[0].cidrs[0]",
            "10.96.0.0/16 overlaps 10.96.0.0/24",
        ),
        ("loadBalancerPools: [{name: a, cidrs: []}]", "loadBalancerPools[0].cidrs",
         "at least one range is needed"),
        (
            "loadBalancerPools: [{name: '', cidrs: [192.0.2.0/24]}]",
            "loadBalancerPools[0].name",
            '"" is not a DNS label: lower-case letters, digits and inner hyphens (RFC 1123)',
        ),
        (
            "loadBalancerPools: [{name: a, cidrs: [192.0.2.0/28]}, {name: a, cidrs: [192.0.2.16/28]}]",
            "loadBalancerPools[1].name",
            'a second pool named "a"',
        ),
        (
            "loadBalancerPools: [{name: a, cidrs: [192.0.2.0/28]}, {name: b, cidrs: [192.0.2.8/29]}]",
            "loadBalancerPools[1].cidrs[0]",
            "192.0.2.8/29 overlaps 192.0.2.0/28",
        ),
        (
            "loadBalancerPools: [{name: a, cidrs: [192.0.2.9-192.0.2.1]}]",
            "loadBalancerPools[0].cidrs[0]",
            '"192.0.2.9-192.0.2.1" ends before it begins',
        ),
        (
            "loadBalancerPools: [{name: a, cidrs: [192.0.2.0-192.0.2.8, 192.0.2.8/29]}]",
            "loadBalancerPools[0].cidrs[1]",
            "192.0.2.8/29 overlaps 192.0.2.0-192.0.2.8",
        ),
    ],
)  # fmt: skip
def test_ranges_of_external_addresses_are_ranges_of_their_own(
    source: Path, spec: str, path: str, fault: str
) -> None:
    found = faults(source, site=cluster(EXTERNAL + spec))
    assert found[0] == f"site/site.yaml:7: Cluster/lab: spec.{path}: {fault}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("n2.example", '"n2.example" is not an IP address'),
        ("192.0.2", '"192.0.2" is not an IP address'),
        ("192.0.2.010", '"192.0.2.010" is not an IP address'),
        ("0.0.0.0", "0.0.0.0 is not an address of a host"),
        ("224.0.0.1", "224.0.0.1 is not an address of a host"),
        ("169.254.0.1", "169.254.0.1 is not an address of a host"),
        ("192.0.2.1", "192.0.2.1 is the address of Node/n1"),
    ],
)
def test_a_node_address_is_one_hosts(source: Path, text: str, fault: str) -> None:
    assert faults(source, node(f"  addresses: [{text}]")) == [
        f"site/test.yaml:5: Node/n2: spec.addresses[0]: {fault}"
    ]


def test_a_node_has_one_address_per_family(source: Path) -> None:
    assert faults(source, node("  addresses: [192.0.2.2, 192.0.2.3]")) == [
        "site/test.yaml:5: Node/n2: spec.addresses[1]: a second IPv4 address; one per family"
    ]


def test_two_spellings_of_one_address_are_one_address(source: Path) -> None:
    text = node("  addresses: [192.0.2.2, '2001:0DB8:0::1']")
    assert faults(source, text, site=DUAL) == [
        "site/test.yaml:5: Node/n2: spec.addresses[1]: 2001:0DB8:0::1 is the address of Node/n1"
    ]


def test_the_management_port_is_a_port(source: Path) -> None:
    text = node("  addresses: [192.0.2.2]\n  management: {port: 0}")
    assert faults(source, text) == [
        "site/test.yaml:6: Node/n2: spec.management.port: 0 is not a port: 1 to 65535"
    ]


@pytest.mark.parametrize(
    ("subnets", "index", "fault"),
    [
        ("10.245.0.0/24", 0, "10.245.0.0/24 is not a node's part of spec.workloadCIDRs"),
        ("10.244.0.0/25", 0, "10.244.0.0/25 is not a node's part of spec.workloadCIDRs"),
        ("10.244.0.0", 0, '"10.244.0.0" has no prefix length, as in 10.244.0.0/32'),
        ("10.244.7.0/24, 10.244.8.0/24", 1, "a second IPv4 subnet; one per family"),
        ("10.244.9.0/24", 0, "10.244.9.0/24 overlaps the subnet of Node/n1"),
    ],
)
def test_a_subnet_that_a_node_fixes_is_one_part_and_its_own(
    source: Path, subnets: str, index: int, fault: str
) -> None:
    site = SITE.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.9.0/24]")
    text = node(f"  addresses: [192.0.2.2]\n  workloadSubnets: [{subnets}]")
    assert faults(source, text, site=site) == [
        f"site/test.yaml:6: Node/n2: spec.workloadSubnets[{index}]: {fault}"
    ]
