"""Record sets of headless services: what no zone holds is refused, what no answer carries warned of."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from groundplane.allocate import Lock, allocate
from groundplane.check import answer_warnings, check_answers
from groundplane.compile.pipeline import preview_source
from groundplane.compile.resolve import compile_site
from groundplane.documents.catalog import Catalog
from groundplane.errors import CatalogError, Fault
from groundplane.net.protocols import Family
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, Service, Site, columns
from tests import catalogs
from tests.catalogs import WITHOUT_DNS, write


def endpoint(number: int, family: Family, hostname: str = "", port: int = 80) -> Endpoint:
    high, low = divmod(number, 250)
    ipv4 = f"192.0.{high}.{low}" if family == "IPv4" else ""
    ipv6 = f"2001:db8::{high + 1:x}:{low:x}" if family == "IPv6" else ""
    return Endpoint("", "", hostname, ipv4, ipv6, (port,))


def headless(
    endpoints: Iterable[Endpoint], family: Family, port: str = "", name: str = "web"
) -> Service:
    return Service(
        "default",
        name,
        families=(family,),
        ports=(Port(port, "TCP", 80),),
        endpoints=columns(list(endpoints)),
    )


def judged(*services: Service) -> tuple[list[str], list[str]]:
    """Return faults and warnings of a site with *services*."""
    documents = (catalogs.service(each.name, cluster_ip="None") for each in services)
    found = catalogs.catalog(catalogs.cluster("10.96.0.0/24"), *documents)
    site = _site(found, services)
    return _texts(check_answers(found, site)), _texts(answer_warnings(found, site))


def _site(found: Catalog, services: tuple[Service, ...]) -> Site:
    site = compile_site(found, allocate(found, Lock()))
    return Site(
        compiled.FORMAT, site.domain, site.service_cidrs, site.workload_cidrs, (), True, (), (), (),
        services,
    )  # fmt: skip


def _texts(faults: Iterable[Fault]) -> list[str]:
    return [f"{fault.subject}: {fault.message}" for fault in faults]


@pytest.mark.parametrize(
    ("family", "type_", "fits", "held"), [("IPv4", "A", 4090, 10880), ("IPv6", "AAAA", 2337, 3626)]
)
def test_addresses_of_a_service(family: Family, type_: str, fits: int, held: int) -> None:
    def of(count: int) -> tuple[list[str], list[str]]:
        return judged(headless((endpoint(each, family) for each in range(count)), family))

    records = f"{type_} records of web.default.svc.cluster.local"
    assert ([], []) == of(fits)
    ((), (warning,)) = of(fits + 1)
    assert warning.startswith(
        f"Service/default/web: the {fits + 1} {records} come to an answer of "
    )
    assert 1 == len(of(held)[1])
    ((fault,), ()) = of(held + 1)
    assert fault.startswith(f"Service/default/web: the {held + 1} {records} take ")


@pytest.mark.parametrize(("label", "fits", "held"), [("h", 1189, 1450), ("h" * 59, 579, 633)])
def test_names_of_a_port(label: str, fits: int, held: int) -> None:
    """They are as long as the names of the endpoints are."""

    def of(count: int) -> tuple[list[str], list[str]]:
        members = (endpoint(n, "IPv4", f"{label}{n:04d}") for n in range(count))
        return judged(headless(members, "IPv4", "http"))

    records = "SRV records of _http._tcp.web.default.svc.cluster.local"
    assert ([], []) == of(fits)
    assert [f"the {fits + 1} {records}"] == [
        each[21:].split(" come ")[0] for each in of(fits + 1)[1]
    ]
    assert [] == of(held)[0]
    assert [f"the {held + 1} {records}"] == [
        each[21:].split(" take ")[0] for each in of(held + 1)[0]
    ]


def test_port_without_a_name_or_target_has_no_record() -> None:
    many = [endpoint(number, "IPv4") for number in range(4000)]
    assert ([], []) == judged(headless(many, "IPv4"))
    assert ([], []) == judged(headless(many, "IPv4", "p" * 63))
    assert ([], []) == judged(headless((each._replace(targets=(0,)) for each in many), "IPv4", "x"))


def test_endpoints_with_one_name_and_port_are_one_record() -> None:
    many = [endpoint(number, "IPv4", "same") for number in range(4000)]
    assert ([], []) == judged(headless(many, "IPv4", "http"))


def test_pointers_of_an_address_of_many_services() -> None:
    def of(count: int) -> tuple[list[str], list[str]]:
        one = [endpoint(7, "IPv4", "h" * 63)]
        return judged(*(headless(one, "IPv4", name=f"s{number:04d}") for number in range(count)))

    assert ([], []) == of(600)
    ((fault,), ()) = of(700)
    assert fault == (
        "Service/default/s0000: the 700 PTR records of 7.0.0.192.in-addr.arpa take 69300 octets, "
        "and a zone has room for 65280; use several services"
    )


def test_many_services_of_different_addresses_are_no_set() -> None:
    services = (headless([endpoint(n, "IPv4")], "IPv4", name=f"s{n:04d}") for n in range(800))
    assert ([], []) == judged(*services)


# ------------------------------------------------------------------------------------------------

SLICES = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, ports: [{port: 80, name: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80, name: http}]
endpoints:
"""


def test_a_catalog_is_refused_whose_zone_no_server_loads(source: Path) -> None:
    endpoints = (
        f"- {{addresses: [192.0.{n // 250}.{n % 250}], hostname: {'h' * 59}{n:04d}}}\n"
        for n in range(700)
    )
    write(source, {"site.yaml": WITHOUT_DNS, "test.yaml": SLICES + "".join(endpoints)})
    with pytest.raises(CatalogError, match=r"^site/test.yaml:1: Service/default/web: the 700 SRV"):
        preview_source(source)
