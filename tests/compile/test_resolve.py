"""Selectors to endpoints, and endpoints to those that traffic goes to."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from groundplane.compile.pipeline import allocate_source
from groundplane.compile.resolve import compile_site
from groundplane.project.select_endpoints import NOWHERE, Place, select_endpoints
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, columns
from tests.catalogs import DUAL, DUAL_WITHOUT_DNS, SITE, WITHOUT_DNS, read

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: admin, port: 81}]
"""
FIXED = WITHOUT_DNS.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.0.0/24]")


def workload(name: str, spec: str, port: int = 8080) -> str:
    """Return a Workload on n1 that the service `web` selects."""
    ports = f"[{{name: http, port: {port}}}]"
    return f"""\
---
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: {name}, labels: {{app: web}}}}
spec: {{node: n1, ports: {ports}, {spec}}}
"""


def endpoint_slice(body: str, labels: str = "") -> str:
    """Return an EndpointSlice of the service `web`."""
    return f"""\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, labels: {{kubernetes.io/service-name: web{labels}}}}}
addressType: IPv4
{body}
"""


def compile_text(source: Path, text: str, site: str = FIXED) -> compiled.Site:
    catalog = read(source, text, site)
    return compile_site(catalog, allocate_source(source, catalog)[0])


def endpoints(source: Path, text: str, site: str = FIXED) -> tuple[Endpoint, ...]:
    return tuple(compile_text(source, text, site).services[0].endpoints.rows())


def test_endpoints_are_the_selected_workloads_by_name(source: Path) -> None:
    text = SERVICE + workload("b", "addresses: [10.244.0.3]", 9090)
    text += workload("a", "addresses: [10.244.0.2], hostname: a0")
    assert endpoints(source, text) == (
        Endpoint("a", "n1", "a0", "10.244.0.2", "", (8080, 81)),
        Endpoint("b", "n1", "", "10.244.0.3", "", (9090, 81)),
    )


def test_a_workload_on_the_hosts_network_answers_at_its_nodes_addresses(source: Path) -> None:
    text = SERVICE + workload("a", "hostNetwork: true")
    (found,) = endpoints(source, text, DUAL)
    assert (found.ipv4, found.ipv6) == ("192.0.2.1", "2001:db8::1")


def test_a_target_port_that_one_workload_lacks_is_0_there(source: Path) -> None:
    text = SERVICE + workload("a", "hostNetwork: true")
    text += workload("b", "hostNetwork: true").replace("name: http", "name: other")
    assert [each.targets for each in endpoints(source, text)] == [(8080, 81), (0, 81)]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("active", [(True, False)]), ("drain", [(False, True)]), ("off", [])],
)
def test_the_state_of_a_workload_is_that_of_its_endpoint(
    source: Path, state: str, expected: list[tuple[bool, bool]]
) -> None:
    text = SERVICE + workload("a", f"state: {state}")
    assert [(each.ready, each.terminating) for each in endpoints(source, text)] == expected


DRAINED = SITE.replace("addresses: [192.0.2.1]", "addresses: [192.0.2.1], state: drain")


def test_all_endpoints_of_a_node_drain_with_it(source: Path) -> None:
    body = """\
endpoints:
- {addresses: [192.0.2.50], nodeName: n1}
- {addresses: [192.0.2.51]}
ports: [{name: http, port: 8080}]"""
    text = SERVICE + workload("a", "state: active") + endpoint_slice(body)
    found = [(each.ready, each.terminating) for each in endpoints(source, text, DRAINED)]
    assert [(False, True), (False, True), (True, False)] == found


def test_a_service_has_its_addresses_and_ports(source: Path) -> None:
    text = SERVICE.replace("spec:", "spec:\n  clusterIP: 10.96.0.7")
    (web,) = compile_text(source, text).services
    assert (web.key, web.families, web.cluster_ips) == (
        ("default", "web"),
        ("IPv4",),
        ("10.96.0.7",),
    )
    assert [(port.name, port.protocol, port.port) for port in web.ports] == [
        ("http", "TCP", 80),
        ("admin", "TCP", 81),
    ]


def test_each_port_of_a_cluster_ip_has_a_pool_of_its_own(source: Path) -> None:
    (web,) = compile_text(source, SERVICE).services
    http, admin = web.ports
    assert http.pool != admin.pool
    headless = SERVICE.replace("spec:", "spec:\n  clusterIP: None")
    (web,) = compile_text(source, headless).services
    assert [0, 0] == [port.pool for port in web.ports]


def test_ranges_and_addresses_are_written_in_one_way(source: Path) -> None:
    site = DUAL.replace("fd00:10:96::/112", "FD00:10:96:0::/112").replace(
        "2001:db8::1", "2001:0DB8::0001"
    )
    found = compile_text(source, SERVICE, site)
    assert (found.service_cidrs, found.nodes[0].addresses) == (
        ("10.96.0.0/24", "fd00:10:96::/112"),
        ("192.0.2.1", "2001:db8::1"),
    )


def test_a_node_has_the_address_of_the_primary_family_first(source: Path) -> None:
    site = DUAL.replace("[192.0.2.1, '2001:db8::1']", "['2001:db8::1', 192.0.2.1]")
    assert compile_text(source, SERVICE, site).nodes[0].addresses == ("192.0.2.1", "2001:db8::1")


def test_a_workload_on_the_hosts_network_is_not_connected(source: Path) -> None:
    text = workload("a", "hostNetwork: true") + workload("b", "addresses: [10.244.0.2]")
    assert compile_text(source, text).workloads == (
        compiled.Workload("default", "b", "n1", ("10.244.0.2",)),
    )


READY = Endpoint("ready", "n1", "", "10.244.0.2", "", (80,))
OTHER = Endpoint("other", "n1", "", "10.244.0.3", "", (80,))
DRAINING = Endpoint(
    "draining", "n1", "", "10.244.0.4", "", (80,), ready=False, serving=True, terminating=True
)
GONE = Endpoint(
    "gone", "n1", "", "10.244.0.5", "", (80,), ready=False, serving=False, terminating=True
)
SERVING = Endpoint("serving", "n1", "", "10.244.0.7", "", (80,), ready=False, serving=True)
NOT_READY = Endpoint("not-ready", "n1", "", "10.244.0.6", "", (80,), ready=False, serving=False)


def web(*of: Endpoint, **fields: object) -> compiled.Service:
    made = compiled.Service("default", "web", ("IPv4",), endpoints=columns(of))
    return msgspec.structs.replace(made, **fields)


def names(service: compiled.Service, indexes: Sequence[int]) -> tuple[str, ...]:
    rows = service.endpoints.rows()
    return tuple(rows[index].workload for index in indexes)


@pytest.mark.parametrize(
    ("of", "failing", "expected", "serving"),
    [
        ((READY, OTHER), (), ("ready", "other"), ("ready", "other")),
        ((READY, DRAINING, GONE, NOT_READY), (), ("ready",), ("ready", "draining")),
        ((DRAINING, GONE, NOT_READY), (), ("draining",), ("draining",)),
        ((GONE, NOT_READY, SERVING), (), (), ()),
        ((), (), (), ()),
        ((READY, OTHER), ("ready",), ("other",), ("other",)),
        ((READY, DRAINING), ("ready",), ("draining",), ("draining",)),
        ((READY, DRAINING), ("ready", "draining"), (), ()),
    ],
)
def test_traffic_goes_to_ready_endpoints_and_else_to_serving_terminating_ones(
    of: tuple[Endpoint, ...],
    failing: tuple[str, ...],
    expected: tuple[str, ...],
    serving: tuple[str, ...],
) -> None:
    """KEP-1669; a workload whose probe fails is neither. Established flows go on with all of them."""
    service = web(*of)
    chosen = select_endpoints(service, NOWHERE, {("default", name) for name in failing})
    assert expected == names(service, chosen.cluster)
    assert serving == names(service, chosen.serving)


def test_a_failing_workload_of_another_namespace_does_not_count() -> None:
    assert [0] == [*select_endpoints(web(READY), NOWHERE, {("shop", "ready")}).cluster]


@pytest.mark.parametrize(
    ("failing", "cluster"),
    [
        (("ready",), ("other",)),
        (("ready", "other"), ("draining",)),
        (("ready", "other", "draining"), ("ready", "other")),
    ],
)
def test_a_service_may_keep_its_endpoints_where_all_fail(
    failing: tuple[str, ...], cluster: tuple[str, ...]
) -> None:
    """All come back, those that failed first included, each as its conditions say."""
    service = web(READY, OTHER, DRAINING, keep_last_endpoints=True)
    failed = {("default", name) for name in failing}
    assert cluster == names(service, select_endpoints(service, NOWHERE, failed).cluster)


def test_the_annotation_says_which_service_keeps_its_endpoints(source: Path) -> None:
    said = "{name: web, annotations: {groundplane/keep-last-endpoints: 'true'}}"
    one, other = (
        compile_text(source, text) for text in (SERVICE, SERVICE.replace("{name: web}", said))
    )
    kept = [site.services[0].keep_last_endpoints for site in (one, other)]
    assert [False, True] == kept


def test_publish_not_ready_addresses_takes_all_as_ready() -> None:
    service = web(READY, DRAINING, GONE, NOT_READY, publish_not_ready=True)
    assert [0, 1, 2, 3] == [*select_endpoints(service, NOWHERE, {("default", "ready")}).cluster]


N1, N2 = Place("n1", "east"), Place("n2", "west")


@pytest.mark.parametrize(
    ("of", "place", "expected"),
    [
        ((READY, OTHER._replace(node="n2")), N1, ("ready",)),
        ((READY, OTHER._replace(node="n2")), N2, ("other",)),
        ((READY, OTHER._replace(node="n2")), Place("n3", ""), ()),
        # the node's own draining endpoint, though another node has a ready one
        ((READY, DRAINING._replace(node="n2")), N2, ("draining",)),
        ((READY, DRAINING), N1, ("ready",)),
    ],
)
def test_local_endpoints_are_chosen_apart(
    of: tuple[Endpoint, ...], place: Place, expected: tuple[str, ...]
) -> None:
    service = web(*of, external_local=True)
    assert expected == names(service, select_endpoints(service, place, frozenset()).local)
    assert ("ready",) == names(service, select_endpoints(service, place, frozenset()).cluster)[:1]


EAST, WEST = ("east",), ("west",)


@pytest.mark.parametrize(
    ("hints", "place", "expected"),
    [
        # zones and nodes of READY, then of OTHER
        (((EAST, ()), (WEST, ())), N1, ("ready",)),
        (((EAST, ()), (WEST, ())), N2, ("other",)),
        (((EAST, ()), (WEST, ())), Place("n3", "north"), ("ready", "other")),
        (((EAST, ()), ((), ())), N1, ("ready", "other")),  # one has no hint
        (((EAST + WEST, ()), (WEST, ())), N2, ("ready", "other")),
        (((EAST, ("n1",)), (EAST, ("n2",))), N1, ("ready",)),
        (((EAST, ("n3",)), (WEST, ("n2",))), N1, ("ready",)),  # no node, but the zone
        (((EAST, ("n1",)), (EAST, ())), N1, ("ready", "other")),
    ],
)
def test_hints_prefer_a_node_else_a_zone_where_every_endpoint_has_one(
    hints: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...],
    place: Place,
    expected: tuple[str, ...],
) -> None:
    """pkg/proxy/topology.go, CategorizeEndpoints."""
    of = (
        each._replace(for_zones=zones, for_nodes=nodes)
        for each, (zones, nodes) in zip((READY, OTHER), hints, strict=True)
    )
    service = web(*of)
    assert expected == names(service, select_endpoints(service, place, frozenset()).cluster)


def test_hints_of_endpoints_that_are_not_ready_do_not_count() -> None:
    service = web(READY._replace(for_zones=EAST), OTHER, NOT_READY)
    assert ("other",) == names(
        service, select_endpoints(service, N1, {("default", "ready")}).cluster
    )


ZONES = FIXED.replace("{name: n1}", "{name: n1, labels: {topology.kubernetes.io/zone: east}}")


@pytest.mark.parametrize(
    ("distribution", "zones", "nodes"),
    [
        ("PreferClose", EAST, ()),
        ("PreferSameZone", EAST, ()),
        ("PreferSameNode", EAST, ("n1",)),
    ],
)
def test_traffic_distribution_is_a_hint_of_every_endpoint(
    source: Path, distribution: str, zones: tuple[str, ...], nodes: tuple[str, ...]
) -> None:
    text = SERVICE.replace("spec:", f"spec:\n  trafficDistribution: {distribution}")
    body = "endpoints: [{addresses: [192.0.2.50], nodeName: n1}]\nports: [{name: http, port: 1}]"
    found = endpoints(
        source, text + workload("a", "hostNetwork: true") + endpoint_slice(body), ZONES
    )
    assert [(zones, nodes)] * 2 == [(each.for_zones, each.for_nodes) for each in found]


def test_a_slices_own_hints_and_zone_count_first(source: Path) -> None:
    text = SERVICE.replace("spec:", "spec:\n  trafficDistribution: PreferSameNode")
    body = """\
endpoints:
- {addresses: [192.0.2.50], nodeName: n1, hints: {forZones: [{name: north}]}}
- {addresses: [192.0.2.51], nodeName: n1, zone: west}
ports: [{name: http, port: 8080}]"""
    first, second = endpoints(source, text + endpoint_slice(body), ZONES)
    assert ((("north",), ()), (WEST, ("n1",))) == (first[-2:], second[-2:])


@pytest.mark.parametrize(("mode", "expected"), [("ipvs", "direct"), ("nftables", "masquerading")])
def test_a_service_is_forwarded_where_a_node_can(source: Path, mode: str, expected: str) -> None:
    """Elsewhere the annotation is of no effect, and `check` says so."""
    annotated = SERVICE.replace(
        "{name: web}", "{name: web, annotations: {groundplane/ipvs-forwarding: direct}}", 1
    )
    site = FIXED.replace("spec:\n", f"spec:\n  proxyMode: {mode}\n", 1)
    (service,) = compile_text(source, annotated, site).services
    assert expected == service.forwarding


def test_an_external_name_is_nothing_else(source: Path) -> None:
    text = """\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {type: ExternalName, externalName: db.example.org.}
"""
    assert (compiled.Service("default", "db", external_name="db.example.org"),) == compile_text(
        source, text
    ).services


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ("[192.0.2.0/25, 192.0.2.128/25, ' 192.0.2.7/32 ']", ("192.0.2.0/24",)),
        ("[192.0.2.0/24, '2001:db8::/32']", ("192.0.2.0/24", "2001:db8::/32")),
        ("[0.0.0.0/0]", ()),
        ("['::/0', 192.0.2.0/24]", ("192.0.2.0/24", "::/0")),
        ("[0.0.0.0/0, 10.0.0.0/8, '::/0']", ()),
    ],
)
def test_source_ranges_are_merged_and_a_0_opens(
    source: Path, ranges: str, expected: tuple[str, ...]
) -> None:
    more = "spec:\n  type: LoadBalancer\n  ipFamilyPolicy: PreferDualStack"
    more += f"\n  loadBalancerSourceRanges: {ranges}"
    (service,) = compile_text(source, SERVICE.replace("spec:", more), DUAL_WITHOUT_DNS).services
    assert expected == service.source_ranges


def test_an_address_that_services_share_is_marked_where_one_before_has_it(source: Path) -> None:
    """The kernel has it once; when the first service goes, the second one changes with it."""
    site = DUAL_WITHOUT_DNS.replace("spec:\n", "spec:\n  externalIPCIDRs: [203.0.113.0/24]\n", 1)
    shared = SERVICE.replace("spec:", "spec:\n  externalIPs: [203.0.113.9]", 1)
    first, second = shared.replace("web", "api", 1), shared.replace("port: 8", "port: 9")
    services = compile_text(source, f"{first}---\n{second}", site).services
    assert [(), ("203.0.113.9",)] == [each.shared for each in services]
    (alone,) = compile_text(source, second, site).services
    assert () == alone.shared
