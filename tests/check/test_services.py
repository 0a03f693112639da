"""Services: the rules of pkg/apis/core/validation for names, addresses and ports."""

from pathlib import Path

import pytest

from tests.catalogs import DUAL, SITE, faults
from tests.check.documents import PORTS, service, told


@pytest.mark.parametrize(
    "spec",
    [
        (PORTS,),
        (PORTS, "type: ClusterIP", "sessionAffinity: None", "internalTrafficPolicy: Cluster"),
        (PORTS, "clusterIP: None"),
        (PORTS, "clusterIPs: [None]", "clusterIP: None"),
        ("clusterIP: None",),
        (PORTS, "clusterIP: 10.96.0.7"),
        (PORTS, "clusterIP: 10.96.0.7", "clusterIPs: [10.96.0.7]"),
        (PORTS, "clusterIP: ''"),
        (PORTS, "clusterIP: 'fd00:10:96::7'"),
        (PORTS, "ipFamilies: [IPv6]"),
        (PORTS, "ipFamilyPolicy: RequireDualStack", "ipFamilies: [IPv6, IPv4]"),
        (
            PORTS,
            "ipFamilyPolicy: PreferDualStack",
            "clusterIPs: [10.96.0.7, 'fd00:10:96::7']",
        ),
        ("ports: [{port: 53, name: dns}, {port: 53, name: dns-tcp, protocol: UDP}]",),
        ("ports: [{port: 80, protocol: SCTP, appProtocol: example.com/x}]",),
        (PORTS, "trafficDistribution: PreferSameZone"),
    ],
)
def test_what_a_service_may_say(source: Path, spec: tuple[str, ...]) -> None:
    assert faults(source, service(*spec), site=DUAL) == []


def test_a_name_may_begin_with_a_digit(source: Path) -> None:
    """KEP-5311: names of services are RFC 1123 labels."""
    assert [] == faults(source, service(PORTS).replace("name: web", "name: 1web"))


@pytest.mark.parametrize(
    ("ports", "path", "fault"),
    [
        ("[]", "spec.ports", "at least one port is needed"),
        ("[{port: 0}]", "spec.ports[0].port", "0 is not a port: 1 to 65535"),
        ("[{port: 65536}]", "spec.ports[0].port", "65536 is not a port: 1 to 65535"),
        (
            "[{port: 80, targetPort: 70000}]",
            "spec.ports[0].targetPort",
            "70000 is not a port: 1 to 65535",
        ),
        (
            "[{port: 80, targetPort: '8080'}]",
            "spec.ports[0].targetPort",
            (
                '"8080" is not a port name: lower-case letters, digits and single inner hyphens, '
                "at least one letter (RFC 6335)"
            ),
        ),
        (
            "[{port: 80, name: a_b}]",
            "spec.ports[0].name",
            '"a_b" is not a DNS label: lower-case letters, digits and inner hyphens (RFC 1123)',
        ),
        (
            "[{port: 80, name: a}, {port: 81}]",
            "spec.ports[1].name",
            "a name is required where there is more than one port",
        ),
        (
            "[{port: 80, name: a}, {port: 81, name: a}]",
            "spec.ports[1].name",
            'duplicate port name "a"; rename one',
        ),
        (
            "[{port: 80, name: a}, {port: 80, name: b}]",
            "spec.ports[1].port",
            "a second port 80 of TCP",
        ),
    ],
)
def test_ports_that_are_refused(source: Path, ports: str, path: str, fault: str) -> None:
    assert faults(source, service(f"ports: {ports}")) == told(5, path, fault)


def test_a_port_name_may_be_as_long_as_a_label(source: Path) -> None:
    """Service port names are labels, unlike target ports' names."""
    assert faults(source, service(f"ports: [{{port: 80, name: {'a' * 63}}}]")) == []


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        ("clusterIP: web", "spec.clusterIP", '"web" is not an IP address'),
        ("clusterIP: none", "spec.clusterIP", '"none" is not an IP address'),
        ("clusterIPs: [10.96.0.300]", "spec.clusterIPs[0]", '"10.96.0.300" is not an IP address'),
        ("clusterIP: 'fd00::1'", "spec.clusterIP", "the site has no IPv6 service range"),
        ("clusterIPs: ['fd00::1']", "spec.clusterIPs", "the site has no IPv6 service range"),
        ("ipFamilies: [IPv6]", "spec.ipFamilies", "the site has no IPv6 service range"),
        (
            "ipFamilyPolicy: RequireDualStack",
            "spec.ipFamilyPolicy",
            "RequireDualStack, but the site has service ranges of one family only",
        ),
        ("clusterIPs: [None, 10.96.0.7]", "spec.clusterIPs", '"None" must be the only value'),
        (
            "clusterIPs: [10.96.0.7, 10.96.0.8, 10.96.0.9]",
            "spec.clusterIPs",
            "at most two addresses, one per family",
        ),
        ("clusterIPs: [10.96.0.7, 10.96.0.8]", "spec.clusterIPs", "duplicate family; remove one"),
        (
            "{clusterIP: 10.96.0.7, clusterIPs: [10.96.0.8]}",
            "spec.clusterIPs[0]",
            "it must be the same as spec.clusterIP",
        ),
    ],
)
def test_cluster_ips_that_are_refused(source: Path, spec: str, path: str, fault: str) -> None:
    lines = spec.strip("{}").split(", ", 1) if spec.startswith("{") else [spec]
    assert faults(source, service(PORTS, *lines)) == told(5 + len(lines), path, fault)


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        (
            ["ipFamilies: [IPv6]", "clusterIP: 10.96.0.7"],
            "spec.clusterIP",
            "10.96.0.7 is of the wrong family: an IPv6 address is wanted here",
        ),
        (
            ["ipFamilies: [IPv4]", "clusterIPs: [10.96.0.7, 'fd00:10:96::7']"],
            "spec.clusterIPs[1]",
            "fd00:10:96::7 is of the wrong family: no further address is wanted here",
        ),
        (
            ["ipFamilyPolicy: SingleStack", "ipFamilies: [IPv4, IPv6]"],
            "spec.ipFamilyPolicy",
            "two families, but ipFamilyPolicy is SingleStack",
        ),
        (
            ["selector: {a: b}", "ipFamilies: [IPv4, IPv6]"],
            "spec.ipFamilies",
            'two families need ipFamilyPolicy "PreferDualStack" or "RequireDualStack"',
        ),
    ],
)
def test_addresses_of_the_wrong_family_are_refused(
    source: Path, spec: list[str], path: str, fault: str
) -> None:
    line = 6 if path == "spec.ipFamilyPolicy" else 7
    assert faults(source, service(PORTS, *spec), site=DUAL) == told(line, path, fault)


def test_a_selector_is_made_of_labels(source: Path) -> None:
    assert faults(source, service(PORTS, "selector:", "  app: a/b")) == told(
        7,
        "spec.selector.app",
        '"a/b" is not a label value: at most 63 letters, digits, "-", "_" and "."',
    )


NODE_PORTS = "type: NodePort"


@pytest.mark.parametrize(
    "ports",
    [
        "[{port: 80, nodePort: 30000}]",
        "[{port: 80, nodePort: 32767}]",
        "[{port: 80, nodePort: 0}]",
        "[{name: a, port: 53, nodePort: 30053}, {name: b, port: 53, protocol: UDP, nodePort: 30053}]",
    ],
)
def test_a_node_port_is_one_of_the_range(source: Path, ports: str) -> None:
    assert faults(source, service(NODE_PORTS, f"ports: {ports}")) == []


@pytest.mark.parametrize("number", [29999, 32768, -1])
def test_a_node_port_outside_the_range_names_it(source: Path, number: int) -> None:
    text = service(NODE_PORTS, f"ports: [{{port: 80, nodePort: {number}}}]")
    assert faults(source, text) == told(
        6, "spec.ports[0].nodePort", f"{number} is outside the node port range 30000-32767"
    )


def test_a_node_port_of_a_protocol_leads_to_one_port(source: Path) -> None:
    ports = "[{name: a, port: 80, nodePort: 30080}, {name: b, port: 81, nodePort: 30080}]"
    assert faults(source, service(NODE_PORTS, f"ports: {ports}")) == told(
        6, "spec.ports[1].nodePort", "a second node port 30080 of TCP"
    )


def test_a_health_check_port_is_one_of_the_range(source: Path) -> None:
    spec = (PORTS, "type: LoadBalancer", "externalTrafficPolicy: Local", "healthCheckNodePort: 80")
    assert faults(source, service(*spec)) == told(
        8, "spec.healthCheckNodePort", "80 is outside the node port range 30000-32767"
    )


def test_a_range_of_node_ports_that_is_none_is_the_only_fault(source: Path) -> None:
    site = SITE.replace("spec:\n", "spec:\n  nodePortRange: all\n", 1)
    (fault,) = faults(source, service(NODE_PORTS, "ports: [{port: 80, nodePort: 1}]"), site=site)
    assert fault.startswith("site/site.yaml:5: Cluster/lab: spec.nodePortRange: ")
