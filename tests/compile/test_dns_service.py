"""The DNS service of a site: its addresses, and its server on each node."""

from pathlib import Path

import pytest

from groundplane.site.compiled import Endpoint
from tests.catalogs import DUAL, SITE
from tests.compile.test_resolve import compile_text


def test_the_dns_service_leads_to_the_server_of_each_node(source: Path) -> None:
    site = DUAL.replace("[192.0.2.1, '2001:db8::1']", "[192.0.2.1, '2001:db8::1'], "
                        "workloadSubnets: [10.244.7.0/24, 'fd00:10:244:7::/64']")  # fmt: skip
    (service,) = compile_text(source, "", site).services
    assert ("kube-system", "kube-dns") == service.key
    assert ("10.96.0.10", "fd00:10:96::a") == service.cluster_ips
    assert service.internal_local
    assert [("dns", "UDP", 53), ("dns-tcp", "TCP", 53)] == [
        (port.name, port.protocol, port.port) for port in service.ports
    ]
    assert [Endpoint("", "n1", "", "10.244.7.1", "fd00:10:244:7::1", (53, 53))] == list(
        service.endpoints.rows()
    )


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ("dns: {clusterIPs: []}", []),
        ("dns: {clusterIPs: [10.96.0.53]}", [("10.96.0.53",)]),
        ("dns: {forwarders: [192.0.2.53]}", [("10.96.0.10",)]),
    ],
)
def test_the_dns_service_has_the_addresses_that_are_declared(
    source: Path, cluster: str, expected: list[tuple[str, ...]]
) -> None:
    site = SITE.replace("spec:\n", f"spec:\n  {cluster}\n", 1)
    assert expected == [each.cluster_ips for each in compile_text(source, "", site).services]
