"""Which services' addresses come to a workload in tunnels."""

import msgspec

from groundplane.model.compiled import Endpoint, Port, Service, columns
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


def test_all_addresses_of_a_service_whose_endpoint_it_is() -> None:
    elsewhere = changed(
        name="far", cluster_ips=("10.96.0.8",), endpoints=columns([HERE._replace(ipv4="10.9.9.9")])
    )
    services = [elsewhere, TUNNELLED, changed(forwarding="direct", cluster_ips=("10.96.0.7",))]
    assert ("10.96.0.9", "203.0.113.10", "203.0.113.9") == tunnelled(services, WORKLOAD)


def test_one_that_is_leaving_answers_what_it_has() -> None:
    leaving = HERE._replace(ready=False, terminating=True)
    assert "10.96.0.9" in tunnelled([changed(endpoints=columns([leaving]))], WORKLOAD)
