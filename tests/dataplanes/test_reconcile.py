"""One dataplane is brought to states, at a cost proportional to the change."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.dataplanes import dns, links
from groundplane.dataplanes.conntrack import expect
from groundplane.dataplanes.conntrack.expect import scope_of
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.in_memory import InMemory
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import KernelRefused
from groundplane.net.address import pack
from groundplane.project.extent import Only
from groundplane.project.state import NodeBase, NodeState, NodeWorkloads, Part
from groundplane.proxies.ipvs.plane import IpvsPlane
from groundplane.proxies.ipvs.render import render as render_ipvs
from tests.rulesets import MAPS, framework_digest, render
from tests.states import BASE, of_family, service, state, states


class Plane(InMemory[str, str]):
    """One object a service, one a cluster IP, one a node; *calls* says what is rendered, too."""

    def __init__(self) -> None:
        super().__init__("fake", self._rendered, lambda base: base.service_cidrs)

    def _rendered(self, base: NodeBase, part: Part) -> Mapping[str, str]:
        if isinstance(part, NodeWorkloads):
            return {}
        self.calls.append(f"render {part.name}")
        if isinstance(part, NodeBase):
            return {peer.name: peer.addresses[0] for peer in part.peers}
        targets = ",".join(each.hex() for port in part.ports for each in port.ipv4.cluster)
        return dict.fromkeys(part.cluster_ips, f"{part.name} {targets}")


A = service("a", ["10.96.0.2"], ["10.244.1.2:80"])
B = service("b", ["10.96.0.3"], ["10.244.1.3:80"])
C = service("c", ["10.96.0.4"])
NODES = {"n2": "192.0.2.2", "n3": "192.0.2.3"}


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def reconciler(plane: Plane) -> Reconciler[str, str]:
    """Return a reconciler that has brought the fake plane to A, B and C."""
    made = Reconciler(plane)
    made.apply(state(A, B, C))
    plane.calls.clear()
    return made


def test_a_first_bring_reads_once_and_writes_the_whole(plane: Plane) -> None:
    assert 3 == len(Reconciler(plane).apply(state(A)))
    # Parts are rendered as the plane takes them.
    assert ["read", "render a", "render n1", "write", "written"] == sorted(plane.calls)
    assert NODES | {"10.96.0.2": "a 0af401020050"} == plane.there


def test_after_bring_the_plan_is_empty(plane: Plane, reconciler: Reconciler[str, str]) -> None:
    assert not reconciler.plan(state(A, B, C))
    assert not Reconciler(plane).plan(state(A, B, C))


def test_a_plan_changes_nothing(plane: Plane, reconciler: Reconciler[str, str]) -> None:
    before = dict(plane.there)
    assert Delta(delete={"10.96.0.2": "a 0af401020050"}) == reconciler.plan(state(B, C))
    assert before == plane.there
    assert 1 == len(reconciler.plan(state(B, C)))


def test_the_same_state_again_costs_nothing(plane: Plane, reconciler: Reconciler[str, str]) -> None:
    assert 0 == len(reconciler.apply(state(A, B, C)))
    assert [] == plane.calls


def test_equal_parts_are_not_rendered_whoever_made_them(
    plane: Plane, reconciler: Reconciler[str, str]
) -> None:
    again = service("a", ["10.96.0.2"], ["10.244.1.2:80"])
    reconciler.apply(state(again, B, C, base=msgspec.structs.replace(BASE)))
    assert [] == plane.calls


def test_only_the_part_that_differs_is_rendered_and_nothing_is_read(
    plane: Plane, reconciler: Reconciler[str, str]
) -> None:
    assert 1 == len(reconciler.apply(state(A, service("b", ["10.96.0.3"], ["10.244.1.9:80"]), C)))
    assert ["render b", "render b", "write", "written"] == plane.calls
    assert "b 0af401090050" == plane.there["10.96.0.3"]


def test_a_service_that_is_gone_is_deleted(plane: Plane, reconciler: Reconciler[str, str]) -> None:
    assert 1 == len(reconciler.apply(state(A, C)))
    assert ["render b", "write", "written"] == plane.calls
    assert "10.96.0.3" not in plane.there


def test_a_node_that_is_gone_is_deleted(plane: Plane, reconciler: Reconciler[str, str]) -> None:
    base = msgspec.structs.replace(BASE, peers=BASE.peers[:1])
    assert 1 == len(reconciler.apply(state(A, B, C, base=base)))
    assert ["render n1", "render n1", "write", "written"] == plane.calls
    assert "n3" not in plane.there


def test_a_key_that_moves_between_parts_is_one_update(
    plane: Plane, reconciler: Reconciler[str, str]
) -> None:
    swapped = state(service("a", ["10.96.0.3"]), service("b", ["10.96.0.2"]), C)
    assert {"10.96.0.2", "10.96.0.3"} == reconciler.plan(swapped).update.keys()
    assert 2 == len(reconciler.apply(swapped))
    assert ("b ", "a ") == (plane.there["10.96.0.2"], plane.there["10.96.0.3"])


def test_a_key_that_moves_as_it_is_costs_no_write(plane: Plane) -> None:
    class Same(Plane):
        def render(self, base: NodeBase, part: Part) -> Mapping[str, str]:
            return dict.fromkeys(super().render(base, part), "same")

    same = Same()
    reconciler = Reconciler(same)
    reconciler.apply(state(A))
    assert 0 == len(reconciler.apply(state(service("z", ["10.96.0.2"]))))


def test_what_a_refused_write_left_is_read_again(
    plane: Plane, reconciler: Reconciler[str, str]
) -> None:
    plane.fails = KernelRefused("full")
    with pytest.raises(KernelRefused, match="full"):
        reconciler.apply(state(A))
    plane.fails, plane.calls = None, []
    plane.there.pop("10.96.0.3")  # half of it was done, in spite of the promise
    assert 1 == len(reconciler.apply(state(A)))
    # Parts are rendered as the plane takes them.
    assert ["read", "render a", "render n1", "write", "written"] == sorted(plane.calls)
    assert NODES.keys() | {"10.96.0.2"} == plane.there.keys()


def test_after_a_read_that_failed_a_narrow_change_is_not_trusted(
    plane: Plane, reconciler: Reconciler[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller names what differs from the state brought last, and that one never arrived."""
    other = msgspec.structs.replace(BASE, service_cidrs=("10.97.0.0/24",))

    def fails(_: NodeBase) -> Mapping[str, str]:
        raise KernelRefused("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(plane, "read", fails)
        with pytest.raises(KernelRefused, match="no answer"):
            reconciler.apply(state(A, C, base=other))
    reconciler.apply(state(A), Only([C.key]))
    assert NODES.keys() | {"10.96.0.2"} == plane.there.keys()


def test_what_is_forgotten_is_read_again(plane: Plane, reconciler: Reconciler[str, str]) -> None:
    plane.there["10.96.0.99"] = "of an older version"
    reconciler.forget()
    assert 1 == len(reconciler.apply(state(A, B, C)))
    assert "read" in plane.calls
    assert "10.96.0.99" not in plane.there


def test_a_repair_is_what_others_changed_and_no_more(
    plane: Plane, reconciler: Reconciler[str, str]
) -> None:
    del plane.there["10.96.0.3"]
    reconciler.forget()
    assert {"10.96.0.3"} == reconciler.repair().create.keys()
    assert {"10.96.0.4"} == reconciler.apply(state(A, B)).delete.keys()
    assert not reconciler.repair()


@pytest.mark.parametrize("cidrs", [("10.97.0.0/24",), ("10.96.0.0/24",)])
def test_a_change_of_context_reads_again_and_renders_the_whole(
    plane: Plane, reconciler: Reconciler[str, str], cidrs: tuple[str, ...]
) -> None:
    base = msgspec.structs.replace(BASE, service_cidrs=cidrs)
    reconciler.apply(state(A, B, base=base))
    assert ["read", "render a", "render b", "render n1", "write", "written"] == sorted(plane.calls)
    assert NODES.keys() | {"10.96.0.2", "10.96.0.3"} == plane.there.keys()


@settings(max_examples=25)
@given(sequence=st.lists(states(), min_size=1, max_size=6), refused=st.sets(st.integers(0, 5)))
def test_after_any_sequence_of_states_the_plane_holds_the_last(
    sequence: list[NodeState], refused: set[int]
) -> None:
    plane = Plane()
    reconciler = Reconciler(plane)
    for index, each in enumerate(sequence):
        plane.fails = KernelRefused("no") if index in refused else None
        try:
            reconciler.apply(each)
        except KernelRefused:
            plane.fails = None
            reconciler.apply(each)
        assert not reconciler.plan(each)
        assert not Reconciler(plane).plan(each), "what is remembered is what is there"


# ------------------------------------------------------------------------------------------------
# The real dataplanes' rendering, on a plane that holds what it is told.


REAL: dict[str, Callable[[], InMemory[Any, Any]]] = {
    "links": lambda: InMemory("links", links.render),
    "ipvs": lambda: InMemory("ipvs", render_ipvs, IpvsPlane().context),
    "nftables": lambda: InMemory(
        "nftables", render, lambda base: (framework_digest(base), *base.addresses)
    ),
    "conntrack": lambda: InMemory("conntrack", expect.render, scope_of),
    "dns": lambda: InMemory("dns", dns.render, dns.zones_of),
}


@pytest.mark.parametrize("kind", REAL)
@settings(max_examples=20)
@given(sequence=st.lists(states(), min_size=2, max_size=5))
def test_what_is_remembered_of_a_real_rendering_is_what_is_there(
    kind: str, sequence: list[NodeState]
) -> None:
    plane = REAL[kind]()
    reconciler = Reconciler(plane)
    for each in sequence:
        reconciler.apply(each)
        assert not Reconciler(plane).plan(each)


@pytest.mark.parametrize(("kind", "objects"), [("nftables", 4), ("links", 2)])
def test_a_node_that_joins_or_leaves_is_seen_by_every_dataplane(kind: str, objects: int) -> None:
    reconciler = Reconciler(REAL[kind]())
    reconciler.apply(state(base=msgspec.structs.replace(BASE, peers=BASE.peers[:1])))
    assert objects == len(reconciler.plan(state()).create)
    reconciler.apply(state())
    assert 2 * objects == len(
        reconciler.plan(state(base=msgspec.structs.replace(BASE, peers=()))).delete
    )


@pytest.mark.parametrize("kind", ["nftables", "dns", "links"])
def test_a_site_that_loses_a_family_keeps_nothing_of_it(kind: str) -> None:
    plane = REAL[kind]()
    reconciler = Reconciler(plane)
    reconciler.apply(state(A))
    reconciler.apply(state(A, base=of_family("IPv4")))
    assert not [key for key in plane.there if "fd00" in str(key) or "ip6" in str(key)]


@settings(max_examples=20)
@given(sequence=st.lists(states(), min_size=2, max_size=5))
def test_looking_at_what_differs_alone_comes_to_the_same(sequence: list[NodeState]) -> None:
    """The caller may name the services that differ, and more than those."""
    plane = REAL["nftables"]()
    reconciler = Reconciler(plane)
    reconciler.apply(sequence[0])
    for before, after in pairwise(sequence):
        every = {*before.services, *after.services}
        among = {key for key in every if before.services.get(key) != after.services.get(key)}
        reconciler.apply(after, Only(among))
        assert not Reconciler(plane).plan(after)


def test_an_address_stays_while_one_of_the_services_that_share_it_is_there() -> None:
    """What changes hands is one object all the time: the second one's part has it then."""
    both = services_of(("a", 80, ()), ("b", 90, ("203.0.113.9",)))
    left = services_of(("b", 90, ()))
    plane = REAL["nftables"]()
    reconciler = Reconciler(plane)
    address = MAPS["IPv4"].service_addresses.prefix + pack("203.0.113.9")
    for each in (both, left, both):
        reconciler.apply(each)
        assert address in plane.there
    reconciler.apply(state())
    assert address not in plane.there


def services_of(*listed: tuple[str, int, tuple[str, ...]]) -> NodeState:
    """Return a state of services at 203.0.113.9: their names, ports, and what others have too."""
    made = [
        msgspec.structs.replace(
            service(name, [f"10.96.0.{port}"], port=port, pool=port),
            external_ips=("203.0.113.9",),
            shared=shared,
        )
        for name, port, shared in listed
    ]
    return state(*made)
