"""Addresses from outside: nobody's else, in the ranges for them, each port of one for one service."""

from pathlib import Path

import pytest

from groundplane.documents.service import ADDRESSES
from tests.catalogs import faults
from tests.check.documents import PORTS, SITE, service, told

DUAL_STACK = "ipFamilyPolicy: PreferDualStack"
LOAD_BALANCER = "type: LoadBalancer"


@pytest.mark.parametrize(
    "spec",
    [
        ("externalIPs: [198.51.100.7]",),
        ("externalIPs: [198.51.100.7, 198.51.100.8, 203.0.113.65]",),
        (DUAL_STACK, "externalIPs: ['2001:db8:1::7', 198.51.100.7]"),
        ("type: NodePort", "externalIPs: [203.0.113.1]"),
        (LOAD_BALANCER, "loadBalancerIP: 203.0.113.7", "externalIPs: [198.51.100.7]"),
    ],
)
def test_an_external_address_lies_in_a_range_for_it(source: Path, spec: tuple[str, ...]) -> None:
    assert faults(source, service(PORTS, *spec), site=SITE) == []


_NO_HOST, _NOWHERE = (
    "{} is not an address of a host",
    "{} is in no range of the Cluster's externalIPCIDRs or loadBalancerPools",
)
BAD = [
    ("web", '"web" is not an IP address'),
    ("0.0.0.0", _NO_HOST),
    ("127.0.0.1", _NO_HOST),
    ("169.254.0.1", _NO_HOST),
    ("224.0.0.1", _NO_HOST),
    ("192.0.2.1", "{} is the address of Node/n1"),
    ("10.96.0.9", "{} lies in the range 10.96.0.0/24"),
    ("10.244.3.4", "{} lies in the range 10.244.0.0/16"),
    ("198.51.100.53", "{} is the site's resolver"),
    ("192.0.2.7", _NOWHERE),
    ("2001:db8:1::7", "{}: the service has no IPv6"),
]


@pytest.mark.parametrize(("text", "fault"), BAD)
def test_an_external_ip_that_is_anothers_is_refused(source: Path, text: str, fault: str) -> None:
    found = faults(source, service(PORTS, f"externalIPs: ['{text}']"), site=SITE)
    assert found == told(6, "spec.externalIPs[0]", fault.format(text))


@pytest.mark.parametrize(("text", "fault"), BAD)
def test_so_is_a_load_balancers_address(source: Path, text: str, fault: str) -> None:
    written = service(PORTS, LOAD_BALANCER, f"loadBalancerIP: '{text}'")
    assert faults(source, written, site=SITE) == told(7, "spec.loadBalancerIP", fault.format(text))
    noted = service(PORTS, LOAD_BALANCER, annotations={ADDRESSES: text})
    path = f"metadata.annotations.{ADDRESSES}"
    assert faults(source, noted, site=SITE) == told(3, path, fault.format(text))


def test_without_ranges_for_them_no_external_address_is_taken(source: Path) -> None:
    text = service(PORTS, "externalIPs: [192.0.2.7]")
    assert faults(source, text) == told(6, "spec.externalIPs[0]", _NOWHERE.format("192.0.2.7"))


def test_the_address_that_another_program_gives_is_not_judged(source: Path) -> None:
    spec = (PORTS, LOAD_BALANCER, "loadBalancerClass: example.com/vip", "loadBalancerIP: anything")
    assert faults(source, service(*spec)) == []


def test_a_load_balancer_has_one_address_of_a_family(source: Path) -> None:
    text = service(PORTS, LOAD_BALANCER, annotations={ADDRESSES: "203.0.113.7,203.0.113.8"})
    fault = "a second IPv4 address; one per family"
    assert faults(source, text, site=SITE) == told(3, f"metadata.annotations.{ADDRESSES}", fault)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (("externalIPs: [203.0.113.7, 203.0.113.7]",), "spec.externalIPs[1]"),
        (
            (LOAD_BALANCER, "externalIPs: [203.0.113.7]", "loadBalancerIP: 203.0.113.7"),
            "spec.loadBalancerIP",
        ),
        (
            (DUAL_STACK, "externalIPs: ['2001:db8:1::7', '2001:0db8:1:0::7']"),
            "spec.externalIPs[1]",
        ),
    ],
)
def test_an_address_is_given_once(source: Path, spec: tuple[str, ...], path: str) -> None:
    (fault,) = faults(source, service(PORTS, *spec), site=SITE)
    assert f": {path}: " in fault
    assert "duplicate address" in fault


TAKEN = service(PORTS, LOAD_BALANCER, "loadBalancerIP: 203.0.113.7", name="db") + "---\n"


@pytest.mark.parametrize(
    ("ports", "free"),
    [("port: 80", False), ("port: 80, protocol: UDP", True), ("port: 81", True)],
)
@pytest.mark.parametrize(
    "spec", ["externalIPs: [203.0.113.7]", "{type: LoadBalancer, loadBalancerIP: 203.0.113.7}"]
)
def test_a_port_of_an_address_is_one_services(
    source: Path, ports: str, spec: str, free: bool
) -> None:
    lines = spec.strip("{}").split(", ")
    found = faults(source, TAKEN + service(f"ports: [{{{ports}}}]", *lines), site=SITE)
    if free:
        assert found == []
        return
    (fault,) = found
    assert fault.endswith("203.0.113.7 with port 80/TCP is taken by Service/default/db")
