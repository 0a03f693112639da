"""Endpoints at workload addresses that no Workload has."""

from pathlib import Path

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import unowned_endpoints
from groundplane.compile.pipeline import allocate_source
from tests.catalogs import SITE, faults, read

TEXT = """\
apiVersion: v1
kind: Service
metadata: {name: ext}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ext-1, labels: {kubernetes.io/service-name: ext}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [ADDRESS]}]
---
apiVersion: groundplane/v1
kind: Workload
metadata: {name: w}
spec: {node: n1, addresses: [10.244.7.9]}
"""
FIXED = SITE.replace("[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.7.0/24]")


def warned(source: Path, address: str) -> list[str]:
    catalog = read(source, TEXT.replace("ADDRESS", address), FIXED)
    owned = allocate_source(source, catalog)[0].owned
    return [each.message for each in unowned_endpoints(catalog, owned)]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.244.7.9", []),  # the workload's
        ("10.244.7.1", []),  # the bridge's
        ("192.0.2.9", []),
        (
            "10.244.7.10",
            ["10.244.7.10 is in the workload range 10.244.0.0/16, but no Workload has it"],
        ),
    ],
)
def test_an_endpoint_in_the_workload_range_that_no_workload_has_is_warned_of(
    source: Path, address: str, expected: list[str]
) -> None:
    assert expected == warned(source, address)


def test_no_workload_is_given_the_address_of_such_an_endpoint(source: Path) -> None:
    """A subnet of which every other address is an endpoint's."""
    small = SITE.replace("nodePrefix: 24", "nodePrefix: 29").replace(
        "[192.0.2.1]", "[192.0.2.1], workloadSubnets: [10.244.7.0/29]"
    )
    taken = ", ".join(f"10.244.7.{n}" for n in (2, 3, 5, 6))
    text = TEXT.replace("[ADDRESS]", f"[{taken}]").replace(", addresses: [10.244.7.9]", "")
    found = allocate(read(source, text, small), Lock())
    assert ("10.244.7.4",) == found.workloads["default", "w"]


@pytest.mark.parametrize("where", ["ADDRESS", "10.244.7.9"])
def test_an_ipv4_address_in_ipv6_form_is_refused(source: Path, where: str) -> None:
    text = TEXT.replace("addressType: IPv4", "addressType: IPv6").replace(
        where, "'::ffff:192.0.2.7'"
    )
    (found, *_) = faults(source, text.replace("ADDRESS", "'2001:db8::9'"), FIXED)
    assert found.endswith('"::ffff:192.0.2.7" is an IPv4 address; write 192.0.2.7')
