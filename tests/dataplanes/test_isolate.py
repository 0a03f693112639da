"""Parts of a change that a dataplane rejects: they keep no other from being written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import ChangeRejected, ObjectsRefused
from groundplane.project.state import NodeBase, NodeState
from tests.dataplanes.test_reconcile import NODES, A, B, C, Plane
from tests.states import service, state, states


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def reconciler(plane: Plane) -> Reconciler[str, str]:
    """Return a reconciler that has brought the fake plane to A, B and C."""
    made = Reconciler(plane)
    made.apply(state(A, B, C))
    return made


def test_a_part_that_is_rejected_keeps_no_other_from_being_written(
    plane: Plane, reconciler: Reconciler[str, str]
) -> None:
    plane.rejects = {"10.96.0.9"}
    bad = service("b", ["10.96.0.9"], ["10.244.1.3:80"])
    for _ in range(2):
        with pytest.raises(ObjectsRefused, match=r"^Service/default/b: the kernel refused 10\.96"):
            reconciler.apply(state(service("a", ["10.96.0.7"]), bad))
        assert NODES.keys() | {"10.96.0.7", "10.96.0.3"} == plane.there.keys()
    plane.rejects = set()
    reconciler.apply(state(service("a", ["10.96.0.7"]), bad))
    assert NODES.keys() | {"10.96.0.7", "10.96.0.9"} == plane.there.keys()


def test_what_is_refused_one_by_one_is_named_by_its_parts(plane: Plane) -> None:
    class OneByOne(Plane):
        def write(self, base: NodeBase, delta: Delta[str, str]) -> None:
            bad = self.rejects & {*delta.create, *delta.update}
            accepted = {key: each for key, each in delta.create.items() if key not in bad}
            super().write(base, Delta(accepted, delta.update, delta.delete))
            if bad:
                raise ObjectsRefused({key: f"no {key}" for key in bad})

    one_by_one = OneByOne()
    one_by_one.rejects = {"n2", "10.96.0.2"}
    with pytest.raises(ObjectsRefused) as refused:
        Reconciler(one_by_one).apply(state(A, B))
    assert {"no n2", "Service/default/a: no 10.96.0.2"} == {*refused.value.reasons.values()}
    assert {"n3", "10.96.0.3"} == one_by_one.there.keys()


def test_where_everything_is_rejected_nothing_is_written(plane: Plane) -> None:
    many = [service(f"s{n}", [f"10.96.1.{n}"]) for n in range(150)]
    plane.rejects = {f"10.96.1.{n}" for n in range(150)}
    with pytest.raises(ChangeRejected):
        Reconciler(plane).apply(state(*many))


@given(before=states(), after=states(), chosen=st.data())
def test_all_but_the_rejected_parts_is_written_whatever_they_are(
    before: NodeState, after: NodeState, chosen: st.DataObject
) -> None:
    plane = Plane()
    reconciler = Reconciler(plane)
    reconciler.apply(before)
    addresses = sorted({text for each in after.services.values() for text in each.cluster_ips})
    plane.rejects = chosen.draw(
        st.sets(st.sampled_from(addresses)) if addresses else st.just(set())
    )
    try:
        reconciler.apply(after)
        rejected = set[str]()
    except ObjectsRefused as refused:
        rejected = {str(each) for each in refused.reasons}
    for part in after.services.values():
        if f"Service/{part.namespace}/{part.name}" not in rejected:
            wanted = plane.render(after.base, part)
            assert wanted == {key: plane.there.get(key) for key in wanted}
    plane.rejects = set()
    reconciler.apply(after)
    assert not Reconciler(plane).plan(after)
