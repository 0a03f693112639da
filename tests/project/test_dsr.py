"""Which services' addresses come to an endpoint as they are."""

import msgspec

from groundplane.project.dsr import dsr_addresses
from groundplane.site.compiled import FORMAT, Endpoint, Node, Port, Service, Site, columns

OWN = ("10.244.1.2", "fd00:10:244:1::2")
HERE = Endpoint("a", "n1", "", OWN[0], "", (80,))
TUNNELLED = Service(
    "default", "web", ("IPv4",), ("10.96.0.9",), (Port("", "TCP", 80),), columns([HERE]),
    external_ips=("203.0.113.9",), load_balancer_ips=("203.0.113.10",), forwarding="tunnel",
)  # fmt: skip


def changed(**fields: object) -> Service:
    return msgspec.structs.replace(TUNNELLED, **fields)


def site(*services: Service) -> Site:
    nodes = (Node("n1", ("192.0.2.1",), ()), Node("n2", ("192.0.2.2",), ()))
    return Site(
        FORMAT, "cluster.local", ("10.96.0.0/24",), ("10.244.0.0/16",), (), egress_masquerade=True,
        forwarders=(), nodes=nodes, workloads=(), services=services,
    )  # fmt: skip


def test_all_addresses_of_a_service_whose_endpoint_it_is() -> None:
    elsewhere = changed(
        name="far", cluster_ips=("10.96.0.8",), endpoints=columns([HERE._replace(ipv4="10.9.9.9")])
    )
    services = elsewhere, TUNNELLED, changed(forwarding="direct", cluster_ips=("10.96.0.7",))
    outside = ("203.0.113.10", "203.0.113.9")
    assert ("10.96.0.9", *outside) == dsr_addresses(site(*services), "tunnel", OWN)
    assert ("10.96.0.7", *outside) == dsr_addresses(site(*services), "direct", OWN)


def test_one_that_is_leaving_answers_what_it_has() -> None:
    leaving = HERE._replace(ready=False, terminating=True)
    changed_site = site(changed(endpoints=columns([leaving])))
    assert "10.96.0.9" in dsr_addresses(changed_site, "tunnel", OWN)
