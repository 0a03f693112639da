"""Names of DNS records: what check refuses, what it warns of, and that it knows every one."""

from pathlib import Path

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import check
from groundplane.compile.resolve import compile_site
from groundplane.dataplanes.dns import render
from groundplane.dataplanes.dns.wire import name as encoded
from groundplane.load import load
from groundplane.project.node import project
from tests.catalogs import DUAL, SITE, WITHOUT_DNS, faults, warned, write

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: %(name)s}
spec: {clusterIP: %(ip)s, selector: {app: web}, ports: [{port: 80, name: %(port)s}]}
---
"""
WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {name: web-1, namespace: %(namespace)s, labels: {app: web}}
spec: {node: n1%(more)s}
---
"""
SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80, name: http}]
endpoints: [{addresses: [192.0.2.9], hostname: %s}]
---
"""
EXTERNAL_NAME = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: ExternalName, externalName: db.example}
"""


def service(name: str = "web", ip: str = "''", port: str = "http") -> str:
    return SERVICE % {"name": name, "ip": ip, "port": port}


def workload(namespace: str = "default", more: str = "") -> str:
    return WORKLOAD % {"namespace": namespace, "more": more}


def domain(length: int) -> str:
    """Return a domain of *length* characters."""
    whole, rest = divmod(length - 1, 64)
    return ".".join(["d" * 63] * whole + ["e" * (rest + 1)] * (rest > 0 or not whole))


def in_domain(length: int, site: str = WITHOUT_DNS) -> str:
    return site.replace("spec:\n", f"spec:\n  clusterDomain: {domain(length)}\n", 1)


@pytest.mark.parametrize(
    ("text", "site", "subject", "longest"),
    [
        ("", SITE, "Cluster/lab: spec.clusterDomain", "_dns-tcp._tcp.kube-dns.kube-system.svc."),
        ("", WITHOUT_DNS, "Cluster/lab: spec.clusterDomain", "hostmaster.node."),
        (
            "",
            WITHOUT_DNS.replace("{name: n1}", f"{{name: {'n' * 63}}}"),
            f"Node/{'n' * 63}: metadata.name",
            f"{'n' * 63}.node.",
        ),
        (
            workload("store"),
            WITHOUT_DNS,
            "Workload/store/web-1: metadata.namespace",
            "255-255-255-255.store.pod.",
        ),
        (
            workload("store"),
            WITHOUT_DNS.replace("[10.96.0.0/24]", "[10.96.0.0/24, 'fd00:10:96::/112']")
            .replace("nodePrefix: 24}]", "nodePrefix: 24}, {cidr: 'fd00::/56', nodePrefix: 64}]")
            .replace("[192.0.2.1]", "[192.0.2.1, '2001:db8::1']"),
            "Workload/store/web-1: metadata.namespace",
            f"{'-'.join(['ffff'] * 8)}.store.pod.",
        ),
        (
            service("w" * 60),
            WITHOUT_DNS,
            f"Service/default/{'w' * 60}: metadata.name",
            f"_http._tcp.{'w' * 60}.default.svc.",
        ),
        (
            service(port="p" * 62),
            WITHOUT_DNS,
            "Service/default/web: metadata.name",
            f"_{'p' * 62}._tcp.web.default.svc.",
        ),
        (
            service(ip="None", port="''"),
            WITHOUT_DNS,
            "Service/default/web: metadata.name",
            "web._empty.default.svc.",
        ),
        (
            service(ip="None") + workload(more=f", hostname: {'h' * 63}"),
            WITHOUT_DNS,
            "Service/default/web: metadata.name",
            f"{'h' * 63}.web.default.svc.",
        ),
        (
            service(ip="None").replace("selector: {app: web}, ", "") + SLICE % ("h" * 63),
            WITHOUT_DNS,
            "Service/default/web: metadata.name",
            f"{'h' * 63}.web.default.svc.",
        ),
        (
            EXTERNAL_NAME,
            WITHOUT_DNS.replace("{name: n1}", "{name: n}"),
            "Service/default/web: metadata.name",
            "web.default.svc.",
        ),
    ],
)
def test_a_name_has_at_most_253_characters(
    source: Path, text: str, site: str, subject: str, longest: str
) -> None:
    fits = 253 - len(longest)
    assert [] == faults(source, text, site=in_domain(fits, site))
    found = faults(source, text, site=in_domain(fits + 1, site))
    message = (
        f"the DNS name {longest}{domain(fits + 1)} has 254 characters, DNS has at most 253; "
        "use a shorter one"
    )
    assert [line for line in found if f" {subject}: {shortened(message)}" in line]


def shortened(message: str) -> str:
    return message if len(message) <= 400 else message[:200]


def test_a_key_of_a_signed_zone_has_a_file(source: Path) -> None:
    """K, the zone, its algorithm and number are the name of that, which has 255 octets."""
    site = WITHOUT_DNS.replace("{clusterIPs: []}", "{clusterIPs: [], dnssec: true}")
    assert [] == faults(source, site=in_domain(230, site))
    (fault,) = faults(source, site=in_domain(231, site))
    assert fault.endswith(
        "has a name of 256 characters, a file's has at most 255; use a shorter domain"
    )


def test_a_port_that_no_srv_record_can_name_is_a_warning(source: Path) -> None:
    """Kubernetes lets a name have 63 characters; with its underscore it has 64."""
    text = workload() + service(port="p" * 63)
    (warning,) = warned(source, text)
    assert warning == (
        f'site/test.yaml:9: Service/default/web: spec.ports[0].name: "{"p" * 20}…" has 63 '
        "characters, so the port has no SRV record; use at most 62"
    )
    assert [] == warned(source, text.replace("p" * 63, "p" * 62))


# ------------------------------------------------------------------------------------------------

EVERYTHING = (
    service()
    + service("db", "None", "p" * 63)
    + service("nobody", "None").replace("{app: web}", "{app: none}")
    + workload(more=", hostname: web-1, ports: [{port: 80}]")
    + workload("store")
)


@pytest.mark.parametrize("length", [11, *range(185, 253, 2)])
def test_every_name_that_is_rendered_is_one_that_was_measured(source: Path, length: int) -> None:
    """Whatever check lets pass can be written into a message."""
    write(source, {"site.yaml": in_domain(length, DUAL), "test.yaml": EVERYTHING})
    found = load(source)
    if check(found):
        assert length > 100
        return
    site = compile_site(found, allocate(found, Lock()))
    state = project(site, "n1", frozenset())
    for part in state.parts:
        for record in render(state.base, part):
            assert encoded(record.owner)


def test_a_namespace_that_is_a_top_level_domain_shadows_hosts(source: Path) -> None:
    """Workloads look up google.com as google.com.svc.cluster.local first."""
    document = (
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {}, namespace: {}}}\n"
        "spec: {{ports: [{{port: 80}}]}}\n"
    )
    names = [("google", "com"), ("a", "com"), ("a", "comm"), ("a", "internal")]
    text = "---\n".join(document.format(*each) for each in names)
    first, second = warned(source, text)
    assert (
        'site/test.yaml:3: Service/com/google: metadata.namespace: "com" is a top-level domain: to '
        "workloads, google.com is this service and not that host; "
    ) in first
    assert 'Service/internal/a: metadata.namespace: "internal" is a top-level domain' in second
    accepted = (
        "---\napiVersion: v1\nkind: Namespace\n"
        "metadata: {name: com, annotations: {groundplane/top-level-domain: accepted}}\n"
    )
    assert [second] == warned(source, text + accepted)
