"""Node ports and health check ports: of one range, each for one service, for life."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.allocate import Allocations, Lock, allocate
from groundplane.documents.catalog import Catalog, DocumentKey, Object
from groundplane.documents.site import WorkloadPort
from tests.allocate.balanced import NODE, allocated, faults, load_balancer, on_nodes, ports, site
from tests.catalogs import catalog, service, workload

WEB = ("default", "web")


_PORTS = st.sampled_from(
    [("80",), ("80", "443"), ("53", "53/UDP"), ("53", "53/UDP", "53/SCTP"), ("80", "81/UDP")]
)


@dataclass(frozen=True)
class Draw:
    """Services on nodes with their ports, and load balancers that have a health check."""

    on_nodes: Mapping[str, tuple[str, ...]]
    checked: frozenset[str]

    def objects(self) -> list[Object]:
        objects: list[Object] = [site(node_ports="30000-30039"), NODE]
        objects += [on_nodes(name, *written) for name, written in sorted(self.on_nodes.items())]
        objects += [
            load_balancer(name, external_traffic_policy="Local") for name in sorted(self.checked)
        ]
        return objects

    def catalog(self) -> Catalog:
        return catalog(*self.objects())


DRAWS = st.builds(
    Draw,
    st.dictionaries(st.sampled_from("abcdefgh"), _PORTS),
    st.frozensets(st.sampled_from("stuvwxyz")),
)
HISTORIES = st.lists(DRAWS, max_size=3)


def after(history: Iterable[Draw]) -> Lock:
    """Return the lock once each draw of *history* was allocated, one after the other."""
    lock = Lock()
    for each in history:
        lock = allocate(each.catalog(), lock).lock
    return lock


def numbers(found: Allocations) -> list[int]:
    """Return every number in use, once for each service or health check that has it."""
    of_services = [number for each in found.node_ports.values() for number in set(each) if number]
    return of_services + [number for number in found.health_checks.values() if number]


@given(draw=DRAWS, history=HISTORIES, random=st.randoms(use_true_random=False))
def test_the_same_objects_and_lock_give_the_same_ports_in_any_order(
    draw: Draw, history: list[Draw], random: Random
) -> None:
    lock, objects = after(history), draw.objects()
    random.shuffle(objects)
    assert allocate(catalog(*objects), lock) == allocate(draw.catalog(), lock)


@given(draw=DRAWS, history=HISTORIES)
def test_allocating_with_the_resulting_lock_changes_nothing(
    draw: Draw, history: list[Draw]
) -> None:
    first = allocate(draw.catalog(), after(history))
    assert allocate(draw.catalog(), first.lock) == first


@given(draw=DRAWS, history=HISTORIES)
def test_a_number_is_one_services_and_leads_to_one_port_of_each_protocol(
    draw: Draw, history: list[Draw]
) -> None:
    found = allocate(draw.catalog(), after(history))
    assert max(Counter(numbers(found)).values(), default=1) == 1
    for name, given_ in found.node_ports.items():
        listed = draw.catalog().services[name].spec.ports
        places = [(port.protocol, n) for port, n in zip(listed, given_, strict=True)]
        assert len(places) == len(set(places))


@given(before=DRAWS, now=DRAWS)
def test_no_change_of_others_renumbers_one(before: Draw, now: Draw) -> None:
    old = allocate(before.catalog(), Lock())
    new = allocate(now.catalog(), old.lock)
    kinds = ("NodePort", "HealthCheck")
    for key in (key for key in old.lock.held.keys() & new.lock.held.keys() if key.kind in kinds):
        assert new.lock.held[key] == old.lock.held[key]


@given(draw=DRAWS)
def test_ports_of_one_number_share_a_node_port(draw: Draw) -> None:
    """53/TCP and 53/UDP: initNodePorts, pkg/registry/core/service/storage/alloc.go."""
    found = allocate(draw.catalog(), Lock())
    for (_, name), written in ((("default", n), w) for n, w in draw.on_nodes.items()):
        pairs = zip(ports(*written), found.node_ports["default", name], strict=True)
        by_port: dict[int, set[int]] = {}
        for port, number in pairs:
            by_port.setdefault(port.port, set()).add(number)
        assert {len(each) for each in by_port.values()} == {1}


@given(history=st.lists(st.frozensets(st.sampled_from("abcdefghij"), max_size=6), max_size=8))
def test_a_released_port_is_reused_last_and_longest_released_first(
    history: list[frozenset[str]],
) -> None:
    cluster, lock = site(node_ports="30000-30005"), Lock()
    for names in history:
        found = allocated(*map(on_nodes, names), lock=lock, cluster=cluster)
        in_use = set(map(str, numbers(found)))
        released = {text: turn for text, turn in lock.released.items() if text.isdecimal()}
        reused = [turn for text, turn in released.items() if text in in_use]
        resting = [turn for text, turn in released.items() if text not in in_use]
        fresh = set(map(str, range(30000, 30006))) - in_use - lock.released.keys()
        before = {text for texts in lock.held.values() for text in texts}
        assert not (reused and fresh - before)
        assert max(reused, default=0) <= min(resting, default=99)
        lock = found.lock


def test_the_static_band_is_entered_only_when_the_rest_is_full() -> None:
    """Of 40 ports the lowest 16 are left for explicit requests."""
    objects = [on_nodes(f"s{n}") for n in range(30)]
    found = allocated(*objects, cluster=site(node_ports="30000-30039"))
    given_ = [number for (number,) in found.node_ports.values()]
    assert sorted(given_)[:6] == sorted(n for n in given_ if n < 30016)
    assert [n for n in range(30016, 30040) if n not in given_] == []


def test_every_service_has_an_entry_of_zeros_for_what_it_has_not() -> None:
    found = allocated(
        service("web", ports=ports("80", "443")),
        load_balancer("closed", allocate_load_balancer_node_ports=False),
        service("name", type="ExternalName", external_name="a.example"),
    )
    assert found.node_ports == {
        WEB: (0, 0),
        ("default", "closed"): (0,),
        ("default", "name"): (0,),
    }
    assert found.health_checks == {WEB: 0, ("default", "closed"): 0, ("default", "name"): 0}


@pytest.mark.parametrize(
    ("spec", "checked"),
    [
        ({"external_traffic_policy": "Local"}, True),
        ({"external_traffic_policy": "Local", "load_balancer_class": "example.com/vip"}, True),
        ({"external_traffic_policy": "Cluster"}, False),
        ({"external_traffic_policy": "Local", "type": "NodePort"}, False),
    ],
)
def test_a_load_balancer_with_local_traffic_has_a_health_check_port(
    spec: dict[str, str], checked: bool
) -> None:
    found = allocated(load_balancer("web", **spec))
    assert (found.health_checks[WEB] != 0) == checked


def test_the_lock_holds_each_port_of_a_service() -> None:
    web = on_nodes(
        "web",
        "80:30080",
        "53:30053/UDP",
        type="LoadBalancer",
        external_traffic_policy="Local",
        health_check_node_port=30001,
    )
    held = allocated(web).lock.held
    assert {
        key: given_ for key, given_ in held.items() if key.kind in ("NodePort", "HealthCheck")
    } == {
        DocumentKey("NodePort", "default", "web/TCP/80"): ("30080",),
        DocumentKey("NodePort", "default", "web/UDP/53"): ("30053",),
        DocumentKey("HealthCheck", "default", "web"): ("30001",),
    }


def test_an_explicit_port_may_come_from_anywhere_in_the_range() -> None:
    assert allocated(on_nodes("web", "80:30000")).node_ports[WEB] == (30000,)


def test_an_explicit_port_is_open_without_allocate_load_balancer_node_ports() -> None:
    web = on_nodes(
        "web", "80:30080", "443", type="LoadBalancer", allocate_load_balancer_node_ports=False
    )
    assert allocated(web).node_ports[WEB] == (30080, 0)


def test_a_port_takes_the_explicit_one_of_its_number_on_another_protocol() -> None:
    assert allocated(on_nodes("web", "53", "53:30053/UDP")).node_ports[WEB] == (30053, 30053)


def test_a_port_of_a_new_protocol_takes_the_number_that_is_held() -> None:
    first = allocated(on_nodes("web", "53"))
    (held,) = first.node_ports[WEB]
    assert allocated(on_nodes("web", "53", "53/UDP"), lock=first.lock).node_ports[WEB] == (
        held,
        held,
    )


def test_but_not_where_another_port_of_that_protocol_has_it() -> None:
    first, second, third = allocated(
        on_nodes("web", "53:30053", "54:30053/UDP", "53/UDP")
    ).node_ports[WEB]
    assert (first, second) == (30053, 30053)
    assert third not in (0, 30053)


def test_what_is_released_by_all_protocols_is_released_once() -> None:
    first = allocated(on_nodes("web", "53", "53/UDP"))
    (number, _) = first.node_ports[WEB]
    second = allocated(on_nodes("web", "53/UDP"), lock=first.lock)
    assert (second.node_ports[WEB], second.lock.released) == ((number,), {})
    third = allocated(service("web"), lock=second.lock)
    assert third.lock.released == {str(number): 1}


def held(**numbers: int) -> Lock:
    """Return a lock in which port 80 of each service of *numbers* has a node port."""
    return Lock(
        {
            DocumentKey("NodePort", "default", f"{name}/TCP/80"): (str(n),)
            for name, n in numbers.items()
        }
    )


def test_an_explicit_port_that_another_has_names_it() -> None:
    assert faults(on_nodes("db"), on_nodes("web", "80:30080"), lock=held(db=30080)) == [
        "Service/default/web: spec.ports[0].nodePort: 30080 is taken by Service/default/db"
    ]


def test_a_port_that_two_fix_names_the_other() -> None:
    assert faults(on_nodes("db", "80:30080"), on_nodes("web", "80:30080/UDP")) == [
        "Service/default/web: spec.ports[0].nodePort: 30080 is taken by Service/default/db"
    ]


def test_a_health_check_has_a_port_of_its_own() -> None:
    web = on_nodes(
        "web",
        "80:30080",
        type="LoadBalancer",
        external_traffic_policy="Local",
        health_check_node_port=30080,
    )
    assert faults(web) == [
        (
            "Service/default/web: spec.ports[0].nodePort: "
            "30080 is taken by the health check of Service/default/web"
        )
    ]


def test_a_held_port_is_not_given_to_another_port_of_the_service() -> None:
    assert faults(on_nodes("web", "80", "81:30080"), lock=held(web=30080)) == [
        (
            "Service/default/web: spec.ports[1].nodePort: "
            "30080 is taken by NodePort/default/web/TCP/80"
        )
    ]


def test_a_port_whose_range_is_gone_is_never_changed_in_silence() -> None:
    assert faults(on_nodes("web"), lock=held(web=40000)) == [
        (
            "Service/default/web: : 40000, which addresses.lock gives it, is outside the node port "
            "range 30000-32767; a port is never changed automatically: delete the line of "
            "NodePort/default/web/TCP/80 in addresses.lock to have a new one"
        )
    ]


def test_a_range_that_is_full_names_every_service_without_port() -> None:
    full = "the node port range 30000-30000 is full: all 1 are taken"
    cluster = site(node_ports="30000-30000")
    assert faults(on_nodes("a"), on_nodes("b"), on_nodes("c"), cluster=cluster) == [
        f"Service/default/b: : {full}",
        f"Service/default/c: : {full}",
    ]


def test_the_port_that_a_node_is_managed_at_is_nobodys() -> None:
    """A node port with the number of ssh would lock everyone out."""
    cluster = site(node_ports="22-23")
    found = allocated(on_nodes("web"), cluster=cluster)
    assert found.node_ports[WEB] == (23,)
    assert faults(on_nodes("web", "80:22"), cluster=cluster) == [
        ("Service/default/web: spec.ports[0].nodePort: 22 is taken by the management of Node/n1")
    ]


def test_a_port_that_a_workload_of_the_hosts_network_declares_is_nobodys() -> None:
    cluster = site(node_ports="30080-30081")
    listening = workload("metrics", "n1", host_network=True, ports=(WorkloadPort(port=30080),))
    apart = workload("own", "n1", ports=(WorkloadPort(port=30081),))  # at an address of its own
    found = allocated(on_nodes("web"), listening, apart, cluster=cluster)
    assert found.node_ports[WEB] == (30081,)
    assert faults(on_nodes("web", "80:30080"), listening, cluster=cluster) == [
        (
            "Service/default/web: spec.ports[0].nodePort: "
            "30080 is taken by Workload/default/metrics on the host's network"
        )
    ]
