"""EndpointSlices to endpoints, and their union with workloads and with one another."""

from pathlib import Path

import pytest

from groundplane.site.compiled import Endpoint
from tests.compile.test_resolve import SERVICE, endpoint_slice, endpoints, workload


def test_a_slice_gives_endpoints_by_the_names_of_the_services_ports(source: Path) -> None:
    body = """\
endpoints:
- {addresses: [192.0.2.50], nodeName: n1, hostname: db-0}
ports: [{name: http, port: 8080}, {name: admin, protocol: UDP, port: 81}]"""
    assert endpoints(source, SERVICE + endpoint_slice(body)) == (
        Endpoint("", "n1", "db-0", "192.0.2.50", "", (8080, 0)),
    )


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("{}", (True, True, False)),
        ("{ready: null, serving: null, terminating: null}", (True, True, False)),
        ("{ready: false, serving: true, terminating: true}", (False, True, True)),
        ("{ready: false, serving: false}", (False, False, False)),
    ],
)
def test_conditions_that_are_absent_mean_ready_serving_and_not_terminating(
    source: Path, conditions: str, expected: tuple[bool, bool, bool]
) -> None:
    """discovery/v1 EndpointConditions."""
    body = f"endpoints: [{{addresses: [192.0.2.50], conditions: {conditions}}}]"
    (found,) = endpoints(source, SERVICE + endpoint_slice(body))
    assert (found.ready, found.serving, found.terminating) == expected


def test_slices_and_workloads_are_united_without_doubles(source: Path) -> None:
    text = SERVICE + workload("a", "addresses: [10.244.0.2]")
    body = """\
endpoints: [{addresses: [192.0.2.50]}, {addresses: [10.244.0.2]}, {addresses: [192.0.2.50]}]
ports: [{name: http, port: 8080}, {name: admin, port: 81}]"""
    found = endpoints(source, text + endpoint_slice(body))
    assert [each.ipv4 for each in found] == ["10.244.0.2", "192.0.2.50"]


@pytest.mark.parametrize(("selected", "expected"), [(True, ["a"]), (False, [""])])
def test_slices_that_kubernetes_made_count_only_where_no_workload_is_selected(
    source: Path, selected: bool, expected: list[str]
) -> None:
    text = SERVICE + endpoint_slice(
        "endpoints: [{addresses: [192.0.2.50]}]",
        ", endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io",
    )
    text += workload("a", "hostNetwork: true") if selected else ""
    assert [each.workload for each in endpoints(source, text)] == expected


TERMINATING = "conditions: {ready: false, serving: true, terminating: true}"
BROKEN = "conditions: {ready: false, serving: false}"
PORTS = "ports: [{name: http, port: 8080}, {name: admin, port: 81}]"


def listed(*bodies: str) -> str:
    return f"endpoints: [{', '.join(f'{{addresses: [192.0.2.77], {each}}}' for each in bodies)}]\n{PORTS}"


@pytest.mark.parametrize("bad", [TERMINATING, BROKEN])
@pytest.mark.parametrize("ready_first", [True, False])
@pytest.mark.parametrize("slices", [1, 2])
def test_of_an_address_that_slices_disagree_about_ready_wins(
    source: Path, bad: str, ready_first: bool, slices: int
) -> None:
    bodies = ["conditions: {ready: true}", bad] if ready_first else [bad, "conditions: {}"]
    if slices == 1:
        text = endpoint_slice(listed(*bodies))
    else:
        text = "".join(
            endpoint_slice(listed(body)).replace("web-1", f"web-{number}")
            for number, body in enumerate(bodies)
        )
    (found,) = endpoints(source, SERVICE + text)
    assert (found.ready, found.terminating) == (True, False)


def test_serving_wins_where_none_is_ready(source: Path) -> None:
    (found,) = endpoints(source, SERVICE + endpoint_slice(listed(BROKEN, TERMINATING)))
    assert (found.ready, found.serving, found.terminating) == (False, True, True)


def test_each_hostname_of_an_address_counts_and_one_of_them_takes_connections(
    source: Path,
) -> None:
    body = listed("hostname: a", "hostname: b", "hostname: b")
    found = endpoints(source, SERVICE + endpoint_slice(body))
    assert [("a", 1), ("b", 0)] == [(each.hostname, each.weight) for each in found]


def test_an_address_with_other_ports_is_another_endpoint(source: Path) -> None:
    other = "endpoints: [{addresses: [192.0.2.77]}]\nports: [{name: http, port: 9090}]"
    text = endpoint_slice(listed("")) + endpoint_slice(other).replace("web-1", "web-2")
    assert [(8080, 81), (9090, 0)] == [each.targets for each in endpoints(source, SERVICE + text)]
