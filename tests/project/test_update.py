"""A change gives what a new projection would, and touches only the services concerned."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.project import (
    NodeState,
    WorkloadIndex,
    project,
    project_change,
    project_snapshot,
    update,
)
from groundplane.project.extent import Only
from groundplane.site import compiled
from groundplane.site.compiled import (
    Endpoint,
    Node,
    Port,
    Probe,
    Service,
    Site,
    Sizes,
    Workload,
    columns,
)
from groundplane.site.encoding import encode
from groundplane.site.snapshot import advance, decode

WORKLOADS = [f"w{number}" for number in range(6)]
Failing = frozenset[tuple[str, str]]


def endpoint(name: str) -> Endpoint:
    return Endpoint(name, "n1", "", f"10.244.0.{10 + WORKLOADS.index(name)}", "", (8080,))


def service(number: int, members: list[str]) -> Service:
    ips = () if number % 3 == 0 else (f"10.96.{(number + 1) >> 8}.{(number + 1) & 255}",)
    ports = (Port("http", "TCP", 80),)
    rows = columns([endpoint(each) for each in members])
    return Service("default", f"s{number}", ("IPv4",), ips, ports, rows)


def probe(name: str, period: int) -> Probe:
    return Probe("default", name, "n1", "tcp", 0, period, 1, 1, 3, "10.244.0.10", 8080)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Draw a site of a few services, workloads and zones, so that two have much in common."""
    members = st.lists(st.sampled_from(WORKLOADS), unique=True)
    numbers = draw(st.lists(st.integers(0, 5), unique=True))
    ranges = (("10.96.0.0/16",), ("10.244.0.0/16",))
    zone = draw(st.sampled_from(["", "", "east"]))
    return Site(
        compiled.FORMAT,
        "cluster.local",
        *ranges,
        (),
        draw(st.sampled_from([True, True, False])),
        (),
        (Node("n1", ("192.0.2.1",), ("10.244.0.0/24",), zone), Node("n2", ("192.0.2.2",), ())),
        tuple(
            Workload("default", name, draw(st.sampled_from(["n1", "n2"])), (f"10.244.0.{n}",))
            for n, name in enumerate(draw(members))
        ),
        tuple(service(number, draw(members)) for number in numbers),
        sizes=Sizes(slots=draw(st.sampled_from([10, 10, 20, 5000]))),
        probes=tuple(probe(name, draw(st.integers(1, 2))) for name in draw(members)),
    )


failing_sets = st.frozensets(st.tuples(st.just("default"), st.sampled_from(WORKLOADS)))


def same(one: NodeState, other: NodeState) -> bool:
    return one.base == other.base and dict(one.services) == dict(other.services)


@given(sites(), failing_sets, failing_sets)
def test_another_health_equals_projecting_anew(site: Site, before: Failing, after: Failing) -> None:
    snapshot = decode(encode(site))
    keys = WorkloadIndex(snapshot).concerned(before ^ after)
    old = project_snapshot(snapshot, "n1", before)
    new = update(old, snapshot, keys, after)
    assert same(project(site, "n1", after), new)
    kept = {key for key, each in new.services.items() if each is old.services[key]}
    assert set(new.services) - keys <= kept


@given(sites(), sites(), failing_sets)
def test_another_site_equals_projecting_anew(before: Site, after: Site, failing: Failing) -> None:
    old = decode(encode(before))
    new, keys = advance(old, encode(after))
    state = project_snapshot(old, "n1", failing)
    changed, extent = project_change(state, old, new, keys, failing)
    assert same(project(after, "n1", failing), changed)
    if isinstance(extent, Only):
        kept = {key for key, each in changed.services.items() if each is state.services.get(key)}
        assert set(changed.services) - set(extent.services) <= kept


@given(sites(), sites())
def test_the_index_follows_a_change(before: Site, after: Site) -> None:
    old = decode(encode(before))
    new, keys = advance(old, encode(after))
    followed, fresh = WorkloadIndex(old), WorkloadIndex(new)
    followed.change(old, new, keys)
    for name in WORKLOADS:
        each = [("default", name)]
        assert fresh.concerned(each) == followed.concerned(each)


def test_a_workload_that_no_service_selects_concerns_none() -> None:
    site = Site(compiled.FORMAT, "cluster.local", (), (), (), True, (), (), (), ())
    assert set() == WorkloadIndex(decode(encode(site))).concerned([("default", "w0")])
