"""What a change came to, in words."""

from collections.abc import Iterable

import pytest

from groundplane.agent.changes import Told, emptied_events, endpoint_events, service_events
from groundplane.net.address import pack
from groundplane.project.extent import All, Extent, Only
from groundplane.project.state import Member, NodeState, Targets, VirtualPort, VirtualService
from tests.states import BASE

Key = tuple[str, str]


def targets(*places: str) -> Targets:
    """Return targets at *places*, ADDRESS PORT."""
    split = (place.split() for place in places)
    return Targets.of(
        tuple(pack(address) + int(port).to_bytes(2, "big") for address, port in split)
    )


def service(name: str, *places: str, ip: str = "10.96.0.5", port: int = 80) -> VirtualService:
    found = targets(*(place for place in places if ":" not in place))
    found6 = targets(*(place for place in places if ":" in place))
    ports = (VirtualPort("http", "TCP", port, 1, found, found6),)
    return VirtualService("default", name, (ip,), ports)


def told(before: Iterable[VirtualService], after: Iterable[VirtualService]) -> list[Told]:
    return list(service_events(NodeState.of(BASE, before), NodeState.of(BASE, after), All()))


A, B, C, D, E = (f"10.244.1.{number} 8080" for number in range(1, 6))


def test_a_new_service_is_told_with_its_addresses() -> None:
    assert [
        Told("ServiceAdded", "Service/default/web", "is there now: 10.96.0.5, 2 endpoints")
    ] == told([], [service("web", A, B)])


@pytest.mark.parametrize(
    ("added", "where"),
    [
        (VirtualService("default", "x", ("10.96.0.5", "fd00:96::5"), ()), "10.96.0.5 and fd00:96::5"),
        (VirtualService("default", "x", (), ()), "headless"),
        (VirtualService("default", "x", (), (), external_name="web.test"), "web.test"),
    ],
)  # fmt: skip
def test_a_service_is_where_its_addresses_are(added: VirtualService, where: str) -> None:
    ((_, _, message, _),) = told([], [added])
    assert f"is there now: {where}, 0 endpoints" == message


def test_of_one_endpoint_there_is_one() -> None:
    ((_, _, message, _),) = told([], [service("web", A)])
    assert "is there now: 10.96.0.5, 1 endpoint" == message


def test_a_service_that_is_gone_is_told() -> None:
    expected = Told("ServiceRemoved", "Service/default/web", "was removed from the catalog")
    assert [expected] == told([service("web", A)], [])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([A], [A, B], "10.244.1.2:8080 came"),
        ([A, B], [A], "10.244.1.2:8080 left"),
        ([A], [B], "10.244.1.2:8080 came; 10.244.1.1:8080 left"),
        ([A], [A, B, C, D, E],
         "10.244.1.2:8080, 10.244.1.3:8080, 10.244.1.4:8080 and 1 more came"),
        ([A], [A, A, A], "has another definition"),
        ([A], [A, "fd00::1 53"], "[fd00::1]:53 came"),
    ],
)  # fmt: skip
def test_endpoints_that_came_and_left_are_named(
    before: list[str], after: list[str], message: str
) -> None:
    expected = Told("ServiceChanged", "Service/default/web", message)
    assert [expected] == told([service("web", *before)], [service("web", *after)])


def test_another_definition_is_a_change() -> None:
    expected = Told("ServiceChanged", "Service/default/web", "has another definition")
    assert [expected] == told([service("web", A)], [service("web", A, port=81)])


def test_endpoints_of_a_headless_service_are_its_members() -> None:
    one = VirtualService("default", "db", (), (), (Member("db-0", "10.244.1.1", (1,)),))
    other = VirtualService("default", "db", (), (), (Member("db-1", "10.244.1.2", (1,)),))
    expected = Told("ServiceChanged", "Service/default/db", "10.244.1.2 came; 10.244.1.1 left")
    assert [expected] == told([one], [other])


def test_what_is_the_same_is_no_event_and_others_are_not_looked_at() -> None:
    before = NodeState.of(BASE, [service("web", A), service("api", A)])
    after = NodeState.of(BASE, [service("web", A), service("api", B)])
    assert [] == list(service_events(before, after, Only([("default", "web")])))
    assert ["Service/default/api"] == [each.about for each in service_events(before, after, All())]


def test_of_a_great_change_two_hundred_are_named() -> None:
    found = told([], [service(f"s{number:03}") for number in range(250)])
    assert 201 == len(found)
    assert Told("ServicesChanged", "Service", "50 more services changed") == found[-1]
    assert "Service/default/s199" == found[-2].about


def test_what_a_workload_means_for_services_is_told_with_the_reason() -> None:
    serves = {("default", "a"): {("default", "web"), ("default", "api")}}

    def concerned(workloads: Iterable[Key]) -> set[Key]:
        return set().union(*(serves.get(each, set()) for each in workloads))

    differing = {("default", "a"), ("default", "b"), ("default", "c")}
    failing = frozenset({("default", "a"), ("default", "c")})
    found = endpoint_events(differing, failing, concerned, lambda key: f"as {key[1]} says")
    assert [
        Told("EndpointLeft", "Workload/default/a",
             "no endpoint of default/api, default/web any more: as a says"),
        Told("EndpointReturned", "Workload/default/b",
             "passes, unselected: as b says"),
        Told("EndpointLeft", "Workload/default/c",
             "fails, unselected: as c says"),
    ] == list(found)  # fmt: skip


@pytest.mark.parametrize("extent", [All(), Only([("default", "web"), ("default", "api")])])
def test_a_service_that_lost_its_last_endpoint_is_a_warning(extent: Extent) -> None:
    before = NodeState.of(BASE, [service("web", A), service("api", A, B), service("db")])
    after = NodeState.of(BASE, [service("web"), service("api", A), service("db"), service("new")])
    message = "has no endpoint any more: new connections are refused"
    expected = [Told("NoEndpoints", "Service/default/web", message, warning=True)]
    assert expected == list(emptied_events(before, after, extent))


def test_of_many_workloads_two_hundred_are_named_and_of_many_services_ten() -> None:
    services = {("default", f"s{number:02}") for number in range(12)}
    differing = {("default", f"w{number:03}") for number in range(250)}
    failing = frozenset(key for key in differing if key[1] < "w210")
    found = list(endpoint_events(differing, failing, lambda _: services, lambda _: "x"))
    assert 201 == len(found)
    named = ", ".join(f"default/s{number:02}" for number in range(10))
    assert f"no endpoint of {named} and 2 more any more: x" == found[0].message
    message = "10 more workloads fail now, 40 more pass again"
    assert Told("EndpointsChanged", "Workload", message) == found[-1]
