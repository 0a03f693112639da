"""The site as one node sees it."""

from pathlib import Path

import msgspec
import pytest

from groundplane.compile.pipeline import allocate_source
from groundplane.compile.resolve import compile_site
from groundplane.errors import GroundplaneError
from groundplane.project.node import (
    capacity,
    interface_name,
    project,
    project_base,
    project_service,
)
from groundplane.project.select_endpoints import Place
from groundplane.project.state import NONE, Member, NodeState
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, columns
from tests.catalogs import DUAL, SITE, read
from tests.states import target

SECOND = """\
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n2}
spec: {addresses: [192.0.2.2, '2001:db8::2']}
"""


def site(source: Path, text: str = "", cluster: str = DUAL) -> compiled.Site:
    catalog = read(source, text, cluster + SECOND)
    return compile_site(catalog, allocate_source(source, catalog)[0])


def of(*services: compiled.Service, node: str = "n1") -> NodeState:
    only = compiled.Site(
        format=compiled.FORMAT,
        domain="cluster.local",
        service_cidrs=("10.96.0.0/24", "fd00:96::/112"),
        workload_cidrs=("10.244.0.0/16", "fd00:244::/48"),
        non_masquerade_cidrs=(),
        egress_masquerade=True,
        forwarders=(),
        nodes=(compiled.Node("n1", ("192.0.2.1", "2001:db8::1"), ("10.244.0.0/24", "fd00:244::/64")),),
        workloads=(),
        services=services,
    )  # fmt: skip
    return project(only, node, frozenset())


ENDPOINT = Endpoint("a", "n1", "", "10.244.0.2", "fd00:244::2", (8080, 53))
PORTS = (compiled.Port("http", "TCP", 80, 2), compiled.Port("dns", "UDP", 53, 4))


def service(*endpoints: Endpoint, ips: tuple[str, ...] = ("10.96.0.5",)) -> compiled.Service:
    return compiled.Service("default", "web", ("IPv4", "IPv6"), ips, PORTS, columns(endpoints))


def test_each_port_has_packed_targets_of_each_family() -> None:
    http, dns = of(service(ENDPOINT)).services["default", "web"].ports
    assert (target("10.244.0.2:8080"),) == http.ipv4.cluster == http.targets("IPv4").cluster
    assert (target("fd00:244::2:53"),) == dns.ipv6.cluster == dns.targets("IPv6").cluster
    assert (2, 4) == (http.pool, dns.pool)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (Endpoint("b", "n1", "", "", "fd00:244::3", (8080, 53)), 1),  # no address of the family
        (Endpoint("b", "n1", "", "10.244.0.3", "", (0, 53)), 1),  # no such port
        (Endpoint("b", "n1", "", "10.244.0.2", "", (8080, 53)), 1),  # the same address and port
        (Endpoint("b", "n1", "", "10.244.0.2", "", (8081, 53)), 2),
    ],
)
def test_what_has_no_address_or_port_of_its_own_is_no_target(
    endpoint: Endpoint, expected: int
) -> None:
    http = of(service(ENDPOINT, endpoint)).services["default", "web"].ports[0]
    assert expected == len(http.ipv4.cluster)


def test_a_service_of_one_family_has_targets_of_that_only() -> None:
    one = compiled.Service("default", "web", ("IPv6",), ("fd00:96::5",), PORTS, columns([ENDPOINT]))
    http = of(one).services["default", "web"].ports[0]
    assert ((), (target("fd00:244::2:8080"),)) == (http.ipv4.cluster, http.ipv6.cluster)


def test_a_headless_service_has_backends_and_no_pool() -> None:
    named = Endpoint("b", "n1", "db-0", "10.244.0.3", "", (8080, 53))
    found = of(service(ENDPOINT, named, ips=())).services["default", "web"]
    assert found.members == (
        Member("10-244-0-2", "10.244.0.2", (8080, 53)),
        Member("fd00-244--2", "fd00:244::2", (8080, 53)),
        Member("db-0", "10.244.0.3", (8080, 53)),
    )
    assert [(0, NONE), (0, NONE)] == [(port.pool, port.ipv4) for port in found.ports]


def test_a_headless_service_may_have_no_port() -> None:
    only = Endpoint("a", "n1", "", "10.244.0.2", "", ())
    none = compiled.Service("default", "db", ("IPv4",), (), (), columns([only]))
    assert (Member("10-244-0-2", "10.244.0.2", ()),) == of(none).services["default", "db"].members


def test_a_workload_that_fails_its_probe_is_no_target() -> None:
    state = of(service(ENDPOINT))
    assert state.services["default", "web"].ports[0].ipv4.cluster
    web = compiled.Service("default", "web", ("IPv4",), ("10.96.0.5",), PORTS, columns([ENDPOINT]))
    failing = {("default", "a")}
    assert () == project_service(web, Place("n1", ""), failing).ports[0].ipv4.cluster


def test_the_base_is_this_node_and_its_peers(source: Path) -> None:
    base = project_base(site(source), "n1")
    (peer,) = base.peers
    assert ("n1", ("192.0.2.1", "2001:db8::1")) == (base.name, base.addresses)
    assert ("n2", ("192.0.2.2", "2001:db8::2")) == (peer.name, peer.addresses)
    assert ("IPv4", "IPv6") == base.families
    assert not {*base.subnets} & {*peer.subnets}


def test_the_bridge_has_the_first_address_of_each_subnet(source: Path) -> None:
    fixed = DUAL.replace(
        "'2001:db8::1']", "'2001:db8::1'], workloadSubnets: [10.244.7.0/24, 'fd00:10:244:7::/64']"
    )
    assert ("10.244.7.1", "fd00:10:244:7::1") == project_base(
        site(source, cluster=fixed), "n1"
    ).bridge_addresses


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (SITE, ("IPv4",)),
        (
            SITE.replace("10.96.0.0/24", "'fd00:10:96::/112'")
            .replace("{cidr: 10.244.0.0/16, nodePrefix: 24}", "{cidr: 'fd00::/56', nodePrefix: 64}")
            .replace("192.0.2.1", "'2001:db8::1'"),
            ("IPv6",),
        ),
    ],
    ids=["IPv4", "IPv6"],
)
def test_a_site_of_one_family_has_nodes_of_it(
    source: Path, cluster: str, expected: tuple[str, ...]
) -> None:
    base = project_base(site(source, cluster=cluster), "n1")
    assert expected == base.families
    assert 1 == len(base.subnets) == len(base.bridge_addresses)


def test_a_node_connects_its_own_workloads_that_have_addresses(source: Path) -> None:
    text = "".join(
        "---\napiVersion: groundplane/v1\nkind: Workload\n"
        f"metadata: {{name: {name}}}\nspec: {{node: {node}, hostNetwork: {host}}}\n"
        for name, node, host in (("a", "n1", "false"), ("b", "n2", "false"), ("h", "n1", "true"))
    )
    (own,) = project_base(site(source, text), "n1").workloads
    assert ("default-a", interface_name("default", "a")) == (own.instance, own.interface)
    assert 2 == len(own.addresses)


def test_an_interfaces_name_fits_and_is_no_other_workloads() -> None:
    """IFNAMSIZ is 16 with the last byte 0; templates/nftables.nft.j2 guards gpw*."""
    names = {interface_name("default", f"w-{n}") for n in range(1000)}
    assert 1000 == len(names)
    assert {14} == {len(name) for name in names}
    assert [] == [name for name in names if not name.startswith("gpw")]
    assert interface_name("a", "b-c") != interface_name("a-b", "c")


def test_the_bridges_address_is_the_nodes_own_and_locally_administered(source: Path) -> None:
    both = site(source)
    first, second = (project_base(both, name).bridge_mac for name in ("n1", "n2"))
    assert first != second
    assert {"02"} == {first[:2], second[:2]}
    assert project_base(both, "n1").bridge_mac == first


def test_an_unknown_node_is_an_error_with_the_nearest_name(source: Path) -> None:
    with pytest.raises(GroundplaneError) as error:
        project_base(site(source), "n11")
    assert 'the site has no Node "n11"; did you mean "n1"?' == str(error.value)


@pytest.mark.parametrize(
    ("slots", "expected"),
    [(0, 768), (512, 768), (513, 1536), (8192, 12288), (8193, 24576), (100_000, 196_608)],
)
def test_maps_have_room_to_grow_by_half_in_sizes_of_the_kernels_table(
    slots: int, expected: int
) -> None:
    assert expected == capacity(slots)


HERE = ENDPOINT._replace(workload="a", node="n1", ipv4="10.244.0.2", ipv6="")


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([HERE], (1, 0)),
        ([HERE._replace(ipv6="fd00:244::2")], (1, 1)),
        ([HERE._replace(ipv4="", ipv6="fd00:244::2")], (0, 1)),
        ([HERE._replace(node="n2")], (0, 0)),
        # What still serves counts for no load balancer.
        ([HERE._replace(ready=False, terminating=True)], (0, 0)),
        ([HERE._replace(ready=False, serving=False)], (0, 0)),
        ([HERE, HERE._replace(workload="b")], (1, 0)),  # one address
        ([HERE, HERE._replace(workload="b", ipv4="10.244.0.3")], (2, 0)),
        # Another node's workload has the port, this one's has not.
        ([HERE._replace(targets=(0, 0)), HERE._replace(node="n2", ipv4="10.244.1.2")], (0, 0)),
        ([HERE._replace(targets=(0, 53))], (1, 0)),
    ],
)
def test_a_health_check_counts_what_this_node_would_serve(
    endpoints: list[compiled.Endpoint], expected: tuple[int, int]
) -> None:
    shop = msgspec.structs.replace(
        service(*endpoints), external_local=True, health_check_port=32000
    )
    found = of(shop).services["default", "web"].local_endpoints
    assert {"IPv4": expected[0], "IPv6": expected[1]} == found


def test_names_of_a_headless_service_are_those_of_ready_endpoints_wherever_they_are() -> None:
    far = ENDPOINT._replace(workload="b", node="n2", ipv4="10.244.1.2", ipv6="", for_nodes=("n2",))
    near = ENDPOINT._replace(ipv6="", for_nodes=("n1",))
    leaving = ENDPOINT._replace(workload="c", ipv4="10.244.0.9", ready=False, terminating=True)
    found = of(service(near, far, leaving, ips=())).services["default", "web"].members
    assert ["10.244.0.2", "10.244.1.2"] == [each.address for each in found]
    assert () == of(service(leaving, ips=())).services["default", "web"].members
