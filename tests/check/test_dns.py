"""What the Cluster says of DNS."""

from pathlib import Path

import pytest

from tests.catalogs import SITE, WITHOUT_DNS, faults


@pytest.mark.parametrize(
    ("forwarder", "fault"),
    [
        ("dns.example", '"dns.example" is not an IP address'),
        ("127.0.0.53", "127.0.0.53 is not an address of a host"),
        ("10.96.0.10", "10.96.0.10 lies in the range 10.96.0.0/24"),
    ],
)
def test_a_forwarder_is_the_address_of_a_host_outside(
    source: Path, forwarder: str, fault: str
) -> None:
    site = SITE.replace("spec:\n", f"spec:\n  dns: {{forwarders: [{forwarder}]}}\n", 1)
    assert faults(source, site=site) == [
        f"site/site.yaml:5: Cluster/lab: spec.dns.forwarders[0]: {fault}"
    ]


@pytest.mark.parametrize(
    ("dns", "path", "fault"),
    [
        ("clusterIPs: [x]", "clusterIPs[0]", '"x" is not an IP address'),
        (
            "clusterIPs: [10.97.0.10]",
            "clusterIPs[0]",
            "10.97.0.10 is outside the service range 10.96.0.0/24",
        ),
        (
            "clusterIPs: [10.96.0.0]",
            "clusterIPs[0]",
            "10.96.0.0 is outside the service range 10.96.0.0/24",
        ),
        (
            "clusterIPs: [10.96.0.9, 10.96.0.10]",
            "clusterIPs[1]",
            "a second IPv4 address; there is one of each family",
        ),
        (
            "clusterIPs: ['fd00::a']",
            "clusterIPs[0]",
            "fd00::a is outside a range: services have none",
        ),
        (
            "stubZones: [{name: corp_.example, servers: [192.0.2.53]}]",
            "stubZones[0].name",
            '"corp_" is not a DNS label: lower-case letters, digits and inner hyphens (RFC 1123)',
        ),
        (
            "stubZones: [{name: a.cluster.local., servers: [192.0.2.53]}]",
            "stubZones[0].name",
            '"a.cluster.local" lies in the site\'s own domain cluster.local',
        ),
        (
            "stubZones: [{name: a.example, servers: []}]",
            "stubZones[0].servers",
            "at least one address is needed",
        ),
        (
            "stubZones: [{name: a.example, servers: [10.96.0.53]}]",
            "stubZones[0].servers[0]",
            "10.96.0.53 lies in the range 10.96.0.0/24",
        ),
        (
            (
                "stubZones: [{name: a.example, servers: [192.0.2.53]}, "
                "{name: a.example., servers: [192.0.2.54]}]"
            ),
            "stubZones[1].name",
            'a second stub zone "a.example"',
        ),
        (
            "tlsServerName: dns.example",
            "tlsServerName",
            "it needs dns.forwarders: nobody else is asked over TLS",
        ),
        (
            "{forwarders: [192.0.2.53], tlsServerName: 'dns,example'",
            "tlsServerName",
            (
                '"dns,example" is not a DNS label: '
                "lower-case letters, digits and inner hyphens (RFC 1123)"
            ),
        ),
    ],
)
def test_what_the_cluster_says_of_dns_can_be_done(
    source: Path, dns: str, path: str, fault: str
) -> None:
    site = SITE.replace("spec:\n", f"spec:\n  dns: {{{dns.lstrip('{')}}}\n", 1)
    assert faults(source, site=site) == [f"site/site.yaml:5: Cluster/lab: spec.dns.{path}: {fault}"]


@pytest.mark.parametrize(
    ("domain", "what"),
    [
        ("localhost", "names of the host itself (RFC 6761)"),
        ("site.localhost.", "names of the host itself (RFC 6761)"),
        ("arpa", "the names of all addresses"),
        ("in-addr.arpa", "the names of IPv4 addresses"),
        ("0.96.10.in-addr.arpa", "the names of IPv4 addresses"),
        ("0.d.f.ip6.arpa", "the names of IPv6 addresses"),
    ],
)
def test_domain_of_the_cluster_is_nobody_elses(source: Path, domain: str, what: str) -> None:
    """BIND does not load `localhost`, and ends where two zones have one name."""
    site = SITE.replace("spec:\n", f"spec:\n  clusterDomain: {domain}\n", 1)
    (fault,) = faults(source, site=site)
    assert fault == (
        f'site/site.yaml:5: Cluster/lab: spec.clusterDomain: "{domain.rstrip(".")}" has {what}; '
        "use a domain like cluster.local"
    )


@pytest.mark.parametrize("domain", ["local", "home.arpa", "cluster.home.arpa", "mylocalhost"])
def test_other_domains_are_the_clusters(source: Path, domain: str) -> None:
    assert [] == faults(
        source, site=SITE.replace("spec:\n", f"spec:\n  clusterDomain: {domain}\n", 1)
    )


@pytest.mark.parametrize(
    ("zone", "held", "cidr"),
    [
        ("0.96.10.in-addr.arpa", "0.96.10.in-addr.arpa", "10.96.0.0/24"),
        ("244.10.in-addr.arpa.", "244.10.in-addr.arpa", "10.244.0.0/16"),
        ("7.244.10.in-addr.arpa", "244.10.in-addr.arpa", "10.244.0.0/16"),
        ("10.in-addr.arpa", "", ""),
        ("245.10.in-addr.arpa", "", ""),
        ("1244.10.in-addr.arpa", "", ""),
        ("example", "", ""),
        ("local", "", ""),
    ],
)
def test_stub_zone_is_none_that_the_nodes_answer_for(
    source: Path, zone: str, held: str, cidr: str
) -> None:
    """BIND ends where it is one of them, and asks nobody where it lies in one."""
    dns = f"  dns: {{stubZones: [{{name: {zone}, servers: [192.0.2.53]}}]}}\n"
    found = faults(source, site=SITE.replace("spec:\n", f"spec:\n{dns}", 1))
    message = (
        f'site/site.yaml:5: Cluster/lab: spec.dns.stubZones[0].name: "{zone.rstrip(".")}" lies in '
        f"{held}, the reverse zone of the range {cidr}: the nodes answer for it; remove the stub "
        "zone, or use another range"
    )
    assert ([message] if held else []) == found


def test_the_name_of_the_dns_service_is_not_given_twice(source: Path) -> None:
    own = """\
apiVersion: v1
kind: Service
metadata: {namespace: kube-system, name: kube-dns}
spec: {ports: [{port: 53}]}
"""
    (fault,) = faults(source, own)
    assert fault.endswith(
        "Service/kube-system/kube-dns: metadata.name: is the name of the site's own DNS service: "
        "delete this document, groundplane serves it; only to serve it yourself, set "
        "spec.dns.clusterIPs of the Cluster to []"
    )
    assert [] == faults(source, own, site=WITHOUT_DNS)
