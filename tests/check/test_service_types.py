"""What a service of each type has and what it has not, as ValidateService says."""

from pathlib import Path

import pytest

from groundplane.check import warnings
from tests.catalogs import faults, read
from tests.check.documents import PORTS, SITE, service, told

CLUSTER_IP, NODE_PORT, LOAD_BALANCER = (
    f"type: {each}" for each in ("ClusterIP", "NodePort", "LoadBalancer")
)
NAME = ("type: ExternalName", "externalName: db.example.com")
LOCAL = "externalTrafficPolicy: Local"
OUTSIDE = "externalIPs: [198.51.100.7]"


@pytest.mark.parametrize(
    "spec",
    [
        (PORTS, CLUSTER_IP, "sessionAffinity: None", "internalTrafficPolicy: Local"),
        (PORTS, CLUSTER_IP, OUTSIDE, LOCAL),
        (PORTS, "sessionAffinity: ClientIP"),
        (PORTS, "sessionAffinity: ClientIP", "sessionAffinityConfig: {clientIP: {}}"),
        (PORTS, "sessionAffinity: ClientIP", "clusterIP: None"),
        (
            PORTS,
            "sessionAffinity: ClientIP",
            "sessionAffinityConfig: {clientIP: {timeoutSeconds: 86400}}",
        ),
        (PORTS, NODE_PORT, LOCAL),
        (PORTS, NODE_PORT, "healthCheckNodePort: 0"),
        (PORTS, LOAD_BALANCER, LOCAL, "healthCheckNodePort: 30001"),
        (PORTS, LOAD_BALANCER, "externalTrafficPolicy: Cluster"),
        (PORTS, LOAD_BALANCER, "allocateLoadBalancerNodePorts: false"),
        (PORTS, LOAD_BALANCER, "loadBalancerClass: groundplane/load-balancer"),
        (PORTS, LOAD_BALANCER, "loadBalancerClass: example.com/vip", "loadBalancerIP: 10.0.0.1"),
        (PORTS, LOAD_BALANCER, "loadBalancerIP: 203.0.113.7"),
        (
            PORTS,
            LOAD_BALANCER,
            "loadBalancerSourceRanges: [' 192.0.2.0/24 ', '2001:db8::/32', 0.0.0.0/0]",
        ),
        NAME,
        (*NAME, PORTS),
        (*NAME, "clusterIP: ''", "internalTrafficPolicy: Cluster", "sessionAffinity: None"),
        ("type: ExternalName", "externalName: db.example.com."),
    ],
)
def test_what_a_service_of_its_type_may_say(source: Path, spec: tuple[str, ...]) -> None:
    assert faults(source, service(*spec), site=SITE) == []


_TRAFFIC = "it needs type NodePort or LoadBalancer, or externalIPs"
_HEALTH = "it needs type LoadBalancer and externalTrafficPolicy Local"


@pytest.mark.parametrize(
    ("type_", "field", "fault"),
    [
        (CLUSTER_IP, LOCAL, _TRAFFIC),
        (CLUSTER_IP, "healthCheckNodePort: 30000", _HEALTH),
        (NODE_PORT, "healthCheckNodePort: 30000", _HEALTH),
        (LOAD_BALANCER, "healthCheckNodePort: 30000", _HEALTH),
        (CLUSTER_IP, "loadBalancerIP: 203.0.113.7", "a service of type ClusterIP has none"),
        (NODE_PORT, "loadBalancerIP: 203.0.113.7", "a service of type NodePort has none"),
        (NODE_PORT, "loadBalancerClass: a", "a service of type NodePort has none"),
        (NODE_PORT, "allocateLoadBalancerNodePorts: true", "a service of type NodePort has none"),
        (CLUSTER_IP, "loadBalancerSourceRanges: [a]", "a service of type ClusterIP has none"),
        (NODE_PORT, "clusterIP: None", "a service of type NodePort is never headless"),
        (LOAD_BALANCER, "clusterIPs: [None]", "a service of type LoadBalancer is never headless"),
        (
            "clusterIP: None",
            OUTSIDE,
            "a headless service has none: it is reached at its endpoints",
        ),
    ],
)
def test_what_its_type_does_not_have_is_refused(
    source: Path, type_: str, field: str, fault: str
) -> None:
    name = field.partition(":")[0]
    found = faults(source, service(PORTS, type_, field), site=SITE)
    assert found == told(7, f"spec.{name}", fault)


@pytest.mark.parametrize("type_", ["ClusterIP", "ExternalName, externalName: a"])
def test_only_a_service_on_nodes_has_node_ports(source: Path, type_: str) -> None:
    text = service("ports: [{port: 80, nodePort: 30080}]").replace(
        "spec:\n", f"spec:\n  type: {type_.replace(', ', chr(10) + '  ')}\n"
    )
    (fault,) = faults(source, text)
    name = type_.partition(",")[0]
    assert fault.endswith(f"spec.ports[0].nodePort: a service of type {name} has none")


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        (
            "loadBalancerSourceRanges: [192.0.2.7/24]",
            "loadBalancerSourceRanges[0]",
            '"192.0.2.7/24" has bits set behind its prefix; did you mean 192.0.2.0/24?',
        ),
        (
            "loadBalancerSourceRanges: [192.0.2.7]",
            "loadBalancerSourceRanges[0]",
            '"192.0.2.7" has no prefix length, as in 192.0.2.7/32',
        ),
        (
            "loadBalancerClass: a b",
            "loadBalancerClass",
            '"a b" is not a class: a name like example.com/vip',
        ),
    ],
)
def test_what_a_load_balancer_says_has_its_form(
    source: Path, spec: str, path: str, fault: str
) -> None:
    text = service(PORTS, LOAD_BALANCER, spec)
    assert faults(source, text) == told(7, f"spec.{path}", fault)


@pytest.mark.parametrize("seconds", [0, -1, 86401])
def test_an_affinity_lasts_a_day_at_most(source: Path, seconds: int) -> None:
    config = f"sessionAffinityConfig: {{clientIP: {{timeoutSeconds: {seconds}}}}}"
    assert faults(source, service(PORTS, "sessionAffinity: ClientIP", config)) == told(
        7,
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        f"{seconds} is not a timeout: 1 to 86400 seconds",
    )


def test_a_config_without_its_affinity_is_refused(source: Path) -> None:
    spec = (PORTS, "sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}")
    expected = told(6, "spec.sessionAffinityConfig", "it needs sessionAffinity ClientIP")
    assert faults(source, service(*spec)) == expected


@pytest.mark.parametrize("name", ["", "."])
def test_an_external_name_is_required(source: Path, name: str) -> None:
    text = service("type: ExternalName", f"externalName: '{name}'")
    fault = "a service of type ExternalName needs one"
    assert faults(source, text) == told(6, "spec.externalName", fault)


NO_DOMAINS = ["db_1.example", "DB.example", "a..b", "*.example", "bücher.example", "xn--ü.example"]


@pytest.mark.parametrize("name", NO_DOMAINS)
def test_an_external_name_is_a_domain(source: Path, name: str) -> None:
    text = service("type: ExternalName", f"externalName: '{name}'")
    (fault,) = faults(source, text)
    assert fault.endswith(
        " is not a DNS label: lower-case letters, digits and inner hyphens (RFC 1123)"
    )


@pytest.mark.parametrize(
    "field",
    [
        "clusterIP: None",
        "clusterIP: 10.96.0.7",
        "clusterIPs: [10.96.0.7]",
        "ipFamilies: [IPv4]",
        "ipFamilyPolicy: SingleStack",
        "externalIPs: [198.51.100.7]",
        "loadBalancerIP: 198.51.100.7",
    ],
)
def test_an_external_name_is_a_name_and_nothing_else(source: Path, field: str) -> None:
    name = field.partition(":")[0]
    assert faults(source, service(*NAME, field), site=SITE) == told(
        7, f"spec.{name}", "a service of type ExternalName has none"
    )


@pytest.mark.parametrize(
    ("spec", "path", "warning"),
    [
        (
            (*NAME, "selector: {app: web}"),
            "spec.selector",
            "it selects nothing: a service of type ExternalName has no endpoints",
        ),
        (
            ("type: ExternalName", "selector: {}", "externalName: 192.0.2.1"),
            "spec.externalName",
            '"192.0.2.1" is a name here, and no address; an EndpointSlice has addresses',
        ),
    ],
)
def test_an_external_name_that_says_more_is_warned_of(
    source: Path, spec: tuple[str, ...], path: str, warning: str
) -> None:
    (found,) = warnings(read(source, service(*spec)))
    assert (found.path, found.message) == (path, warning)
