"""Which services' addresses come to a workload in tunnels."""

import msgspec

from groundplane.model.compiled import FORMAT, Endpoint, Node, Port, Service, Site, columns
from groundplane.model.ipvs import ProxyMode
from groundplane.project.tunnelled import tunnelled
from tests.states import BASE

WORKLOAD = BASE.workloads[0]
HERE = Endpoint("a", "n1", "", WORKLOAD.addresses[0], "", (80,))
TUNNELLED = Service(
    "default", "web", ("IPv4",), ("10.96.0.9",), (Port("", "TCP", 80),), columns([HERE]),
    external_ips=("203.0.113.9",), load_balancer_ips=("203.0.113.10",), forwarding="tunnel",
)  # fmt: skip


def changed(**fields: object) -> Service:
    return msgspec.structs.replace(TUNNELLED, **fields)


def site(*services: Service, mode: ProxyMode = "ipvs") -> Site:
    nodes = (Node("n1", ("192.0.2.1",), ()), Node("n2", ("192.0.2.2",), (), proxy_mode=mode))
    return Site(
        FORMAT, "cluster.local", ("10.96.0.0/24",), ("10.244.0.0/16",), (), egress_masquerade=True,
        forwarders=(), nodes=nodes, workloads=(), services=services,
    )  # fmt: skip


def test_all_addresses_of_a_service_whose_endpoint_it_is() -> None:
    elsewhere = changed(
        name="far", cluster_ips=("10.96.0.8",), endpoints=columns([HERE._replace(ipv4="10.9.9.9")])
    )
    services = elsewhere, TUNNELLED, changed(forwarding="direct", cluster_ips=("10.96.0.7",))
    assert ("10.96.0.9", "203.0.113.10", "203.0.113.9") == tunnelled(site(*services), WORKLOAD)


def test_where_no_node_balances_by_ipvs_nothing_comes_in_tunnels() -> None:
    assert () == tunnelled(site(TUNNELLED, mode="nftables"), WORKLOAD)


def test_one_that_is_leaving_answers_what_it_has() -> None:
    leaving = HERE._replace(ready=False, terminating=True)
    assert "10.96.0.9" in tunnelled(site(changed(endpoints=columns([leaving]))), WORKLOAD)
