"""`update` gives what projecting anew would, and touches only the services concerned."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.model import compiled
from groundplane.model.compiled import Endpoint, Node, Port, Service, Site
from groundplane.project import ServiceIndex, project, update

WORKLOADS = [f"w{number}" for number in range(6)]
NODES = (Node("n1", ("192.0.2.1",), ("10.244.0.0/24",)),)


def endpoint(name: str) -> Endpoint:
    return Endpoint(name, "n1", "", f"10.244.0.{10 + WORKLOADS.index(name)}", "", (8080,))


def service(number: int, members: list[str]) -> Service:
    ips = () if number % 3 == 0 else (f"10.96.0.{number + 1}",)
    ports = (Port("http", "TCP", 80),)
    return Service("default", f"s{number}", ("IPv4",), ips, ports, tuple(map(endpoint, members)))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    members = st.lists(st.sampled_from(WORKLOADS), unique=True)
    services = [service(number, draw(members)) for number in range(draw(st.integers(0, 5)))]
    ranges = (("10.96.0.0/16",), ("10.244.0.0/16",))
    return Site(compiled.FORMAT, "cluster.local", *ranges, (), True, (), NODES, (), tuple(services))


failing_sets = st.frozensets(st.tuples(st.just("default"), st.sampled_from(WORKLOADS)))


@given(sites(), failing_sets, failing_sets)
def test_it_equals_projecting_anew(
    site: Site, before: frozenset[tuple[str, str]], after: frozenset[tuple[str, str]]
) -> None:
    old = project(site, "n1", before)
    new, _ = update(old, ServiceIndex(site), before, after)
    assert project(site, "n1", after) == new


@given(sites(), failing_sets, failing_sets)
def test_only_the_services_concerned_are_made_anew(
    site: Site, before: frozenset[tuple[str, str]], after: frozenset[tuple[str, str]]
) -> None:
    old = project(site, "n1", before)
    new, keys = update(old, ServiceIndex(site), before, after)
    kept = {key for key, each in new.services.items() if each is old.services[key]}
    assert new.services.keys() - keys <= kept


def test_a_workload_that_no_service_selects_concerns_none() -> None:
    site = Site(compiled.FORMAT, "cluster.local", (), (), (), True, (), NODES, (), ())
    assert set() == ServiceIndex(site).concerned([("default", "w0")])
