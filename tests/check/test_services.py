"""Services: the rules of pkg/apis/core/validation, and what this version does not do."""

from pathlib import Path

import pytest

from tests.catalogs import DUAL, faults

PORTS = "ports: [{port: 80}]"


def service(*spec: str) -> str:
    """Return a Service `web` with *spec* from line 5 on."""
    lines = "".join(f"  {line}\n" for line in spec)
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n{lines}"


def told(line: int, path: str, fault: str) -> list[str]:
    return [f"site/test.yaml:{line}: Service/default/web: {path}: {fault}"]


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
    ],
)
def test_what_a_service_may_say(source: Path, spec: tuple[str, ...]) -> None:
    assert faults(source, service(*spec), site=DUAL) == []


@pytest.mark.parametrize(
    ("spec", "path", "what"),
    [
        ("type: NodePort", "spec.type", "NodePort is"),
        ("type: LoadBalancer", "spec.type", "LoadBalancer is"),
        ("type: ExternalName", "spec.type", "ExternalName is"),
        ("sessionAffinity: ClientIP", "spec.sessionAffinity", "session affinity is"),
        ("externalIPs: [192.0.2.9]", "spec.externalIPs", "external IPs are"),
        ("internalTrafficPolicy: Local", "spec.internalTrafficPolicy", "Local is"),
        ("trafficDistribution: PreferClose", "spec.trafficDistribution", "it is"),
    ],
)
def test_what_this_version_does_not_do_is_refused(
    source: Path, spec: str, path: str, what: str
) -> None:
    assert faults(source, service(PORTS, spec)) == told(
        6, path, f"{what} not supported by this version"
    )


def test_sctp_is_refused(source: Path) -> None:
    assert faults(source, service("ports: [{port: 80, protocol: SCTP}]")) == told(
        5, "spec.ports[0].protocol", "SCTP is not supported by this version"
    )


def test_a_cluster_ip_service_has_no_node_port(source: Path) -> None:
    assert faults(source, service("ports: [{port: 80, nodePort: 30080}]")) == told(
        5, "spec.ports[0].nodePort", "a service of type ClusterIP has none"
    )


def test_a_name_starts_with_a_letter(source: Path) -> None:
    text = service(PORTS).replace("name: web", "name: 1web")
    assert faults(source, text) == [
        (
            "site/test.yaml:3: Service/default/1web: metadata.name: "
            '"1web" is no service name: it starts with a letter (RFC 1035)'
        )
    ]


@pytest.mark.parametrize(
    ("ports", "path", "fault"),
    [
        ("[]", "spec.ports", "at least one port is needed"),
        ("[{port: 0}]", "spec.ports[0].port", "0 is no port: 1 to 65535"),
        ("[{port: 65536}]", "spec.ports[0].port", "65536 is no port: 1 to 65535"),
        (
            "[{port: 80, targetPort: 70000}]",
            "spec.ports[0].targetPort",
            "70000 is no port: 1 to 65535",
        ),
        (
            "[{port: 80, targetPort: '8080'}]",
            "spec.ports[0].targetPort",
            (
                '"8080" is no port name: lower-case letters, digits and single inner hyphens, '
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
            'a second port named "a"',
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
        ("clusterIPs: [10.96.0.7, 10.96.0.8]", "spec.clusterIPs", "a family is given twice"),
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


WORKLOAD = """\
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: web-1, labels: {app: web}}
spec: {node: n1, ports: [{port: 8080, name: http}, {port: 53, name: dns, protocol: UDP}]}
"""


@pytest.mark.parametrize(
    "port", ["targetPort: http", "targetPort: dns, protocol: UDP", "targetPort: 9"]
)
def test_a_target_port_is_one_that_workloads_have_or_a_number(source: Path, port: str) -> None:
    text = service(f"ports: [{{port: 80, {port}}}]", "selector: {app: web}") + WORKLOAD
    assert faults(source, text) == []


@pytest.mark.parametrize(
    ("port", "fault"),
    [
        (
            "targetPort: htpp",
            'no workload it selects has a TCP port named "htpp"; they have: dns/UDP, http/TCP',
        ),
        (
            "targetPort: dns",
            'no workload it selects has a TCP port named "dns"; they have: dns/UDP, http/TCP',
        ),
    ],
)
def test_a_target_port_that_no_workload_has_lists_those_there_are(
    source: Path, port: str, fault: str
) -> None:
    text = service(f"ports: [{{port: 80, {port}}}]", "selector: {app: web}") + WORKLOAD
    assert faults(source, text) == told(5, "spec.ports[0].targetPort", fault)


def test_a_selector_is_made_of_labels(source: Path) -> None:
    assert faults(source, service(PORTS, "selector:", "  app: a/b")) == told(
        7,
        "spec.selector.app",
        '"a/b" is no label value: at most 63 letters, digits, "-", "_" and "."',
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("externalTrafficPolicy", "Local"),
        ("healthCheckNodePort", "30000"),
        ("loadBalancerIP", "192.0.2.1"),
        ("loadBalancerSourceRanges", "[192.0.2.0/24]"),
        ("externalName", "example.test"),
    ],
)
def test_what_its_type_does_not_have_is_refused(source: Path, field: str, value: str) -> None:
    expected = told(6, f"spec.{field}", "a service of type ClusterIP has none")
    assert faults(source, service(PORTS, f"{field}: {value}")) == expected


def test_a_config_without_its_affinity_is_refused(source: Path) -> None:
    spec = (PORTS, "sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}")
    expected = told(6, "spec.sessionAffinityConfig", "it needs sessionAffinity ClientIP")
    assert faults(source, service(*spec)) == expected


def test_no_name_of_a_service_is_longer_than_dns_allows(source: Path) -> None:
    site = DUAL.replace(
        "spec:\n  service", f"spec:\n  clusterDomain: {'d' * 60}.{'e' * 60}\n  service"
    )
    named = service(f"ports: [{{port: 80, name: {'p' * 63}}}]").replace(
        "name: web", f"name: {'w' * 63}"
    )
    (fault,) = faults(source, named, site=site)
    assert fault.endswith(" has 267 characters; DNS has at most 253")
    assert faults(source, named.replace("p" * 63, "p" * 49), site=site) == []
