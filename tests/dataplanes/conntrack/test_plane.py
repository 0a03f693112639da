"""Stale entries as objects that nobody wants: a table in memory stands for the kernel's."""

from collections.abc import Collection

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.dataplanes.conntrack import Flow, StaleFlows, plane
from groundplane.dataplanes.conntrack.expect import ExpectedObject
from groundplane.dataplanes.conntrack.flows import FlowTargets
from groundplane.dataplanes.diff import diff
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.errors import KernelRefused
from groundplane.net.address import pack
from groundplane.net.protocols import NUMBERS, Family, Protocol
from groundplane.project.state import NodeState
from tests.states import BASE, of_family, service, state, states

DNS = service("dns", ["10.96.0.10"], ["10.244.1.10:53", "10.244.1.11:53"], port=53, protocol="UDP")
FEWER = service("dns", ["10.96.0.10"], ["10.244.1.11:53"], port=53, protocol="UDP")


def flow(answering: str, destination: str = "10.96.0.10", port: int = 53, number: int = 1) -> Flow:
    client = pack("fd00::9" if ":" in destination else "10.244.1.99")
    return Flow(client, 40000 + number, pack(destination), port, pack(answering), 53, number)


TO_ONE, TO_OTHER = flow("10.244.1.10"), flow("10.244.1.11", number=2)


class Table:
    """The conntrack table, of both families. *fails* is raised by whatever is asked of it."""

    def __init__(self, flows: list[Flow]) -> None:
        self.entries = dict.fromkeys(flows)
        self.listed: list[Protocol] = []
        self.fails: KernelRefused | None = None

    def flows(self, protocols: Collection[Protocol]) -> list[Flow]:
        if self.fails:
            raise self.fails
        self.listed += protocols
        numbers = [NUMBERS[protocol] for protocol in protocols]
        return [each for each in self.entries if each.protocol in numbers]

    def delete(self, gone: Flow) -> bool:
        if self.fails:
            raise self.fails
        return self.entries.pop(gone, True) is None

    def close(self) -> None:
        pass


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    made = Table([])
    monkeypatch.setattr(plane, "Conntrack", lambda: made)
    return made


def wanted(flows: StaleFlows, of: NodeState) -> dict[ExpectedObject, FlowTargets]:
    return {key: who for part in of.parts for key, who in flows.render(of.base, part).items()}


def test_a_stale_entry_is_an_object_that_nobody_wants(table: Table) -> None:
    flows = StaleFlows()
    Reconciler(flows).apply(state(FEWER))
    table.entries = {TO_ONE: None, TO_OTHER: None}
    assert wanted(flows, state(FEWER)) | {TO_ONE: ()} == flows.read(BASE)
    assert [TO_ONE] == [*Reconciler(flows).plan(state(FEWER)).delete]


def test_entries_of_an_endpoint_that_goes_are_deleted(table: Table) -> None:
    reconciler = Reconciler(StaleFlows())
    reconciler.apply(state(DNS))
    table.entries = {TO_ONE: None, TO_OTHER: None}
    reconciler.apply(state(FEWER))
    assert [TO_OTHER] == [*table.entries]


def test_entries_of_a_service_that_goes_are_deleted(table: Table) -> None:
    reconciler = Reconciler(StaleFlows())
    reconciler.apply(state(DNS))
    table.entries = {TO_ONE: None, TO_OTHER: None}
    reconciler.apply(state())
    assert [] == [*table.entries]


def test_an_agent_that_starts_deletes_what_is_stale_and_nothing_else(table: Table) -> None:
    table.entries = {TO_ONE: None, TO_OTHER: None}
    Reconciler(StaleFlows()).apply(state(FEWER))
    assert [TO_OTHER] == [*table.entries]


def test_what_is_deleted_is_counted_and_what_had_ended_by_itself_is_not(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Family] = []
    flows = StaleFlows()
    flows.count_by(counted.append)
    reconciler = Reconciler(flows)
    reconciler.apply(state(DNS))
    table.entries = {TO_ONE: None, TO_OTHER: None, flow("fd00:244:1::10", "fd00:96::10"): None}
    reconciler.apply(state(FEWER))
    assert ["IPv4", "IPv6"] == counted
    table.entries = {TO_ONE: None}
    monkeypatch.setattr(table, "delete", lambda _: False)
    reconciler.drift()
    reconciler.apply(state(FEWER))
    assert ["IPv4", "IPv6"] == counted


def test_an_entry_that_comes_between_two_looks_disturbs(table: Table) -> None:
    flows = StaleFlows()
    reconciler = Reconciler(flows)
    reconciler.apply(state(FEWER))
    assert not reconciler.drift()
    table.entries = {TO_OTHER: None}
    assert not reconciler.drift()
    table.entries = {TO_ONE: None}
    assert reconciler.drift()
    assert 1 == len(reconciler.apply(state(FEWER)))
    assert [] == [*table.entries]
    assert not reconciler.drift()


def test_a_table_that_is_not_listed_disturbs_and_is_an_error_when_brought(table: Table) -> None:
    reconciler = Reconciler(StaleFlows())
    reconciler.apply(state(DNS))
    table.entries, table.fails = {TO_ONE: None}, KernelRefused("not listed")
    assert reconciler.drift()
    with pytest.raises(KernelRefused, match="not listed"):
        reconciler.apply(state(FEWER))
    table.fails = None
    reconciler.apply(state(FEWER))
    assert [] == [*table.entries]


def test_entries_of_a_family_that_the_site_has_not_are_left_alone(table: Table) -> None:
    """Nobody asks for them: they are not ours."""
    other = flow("fd00:244::1", "fd00:96::10")
    table.entries = {other: None}
    Reconciler(StaleFlows()).apply(state(base=of_family("IPv4")))
    assert [other] == [*table.entries]


def test_an_association_of_sctp_leaves_with_its_endpoint(table: Table) -> None:
    reconciler = Reconciler(StaleFlows())
    before = service("s", ["10.96.0.30"], ["10.244.1.10:80"], port=53, protocol="SCTP")
    reconciler.apply(state(before))
    found = msgspec.structs.replace(flow("10.244.1.10", "10.96.0.30"), reply_port=80, protocol=132)
    table.entries = {found: None}
    assert not reconciler.drift()
    reconciler.apply(state(service("s", ["10.96.0.30"], port=53, protocol="SCTP")))
    assert [] == [*table.entries]


WEB = service("web", ["10.96.0.20"], ["10.244.1.10:80", "10.244.1.11:80"])
FEWER_WEB = service("web", ["10.96.0.20"], ["10.244.1.11:80"])


def test_of_tcp_the_table_is_listed_where_an_endpoint_goes_and_once_more(table: Table) -> None:
    reconciler = Reconciler(StaleFlows())
    reconciler.apply(state(FEWER_WEB))
    assert not reconciler.drift()
    table.listed.clear()
    reconciler.apply(state(WEB))  # one comes
    assert not reconciler.drift()
    assert [] == table.listed
    reconciler.apply(state(FEWER_WEB))
    assert {"TCP"} == {*table.listed}
    table.listed.clear()
    assert not reconciler.drift()
    assert {"TCP"} == {*table.listed}
    table.listed.clear()
    assert not reconciler.drift()
    assert [] == table.listed


# ------------------------------------------------------------------------------------------------

_DESTINATIONS = [f"10.96.0.{n}" for n in range(2, 6)] + ["192.0.2.1", "203.0.113.1", "fd00:96::2"]
_FLOWS = st.lists(
    st.builds(
        Flow,
        st.just(pack("10.244.1.99")),
        st.just(40000),
        st.sampled_from(_DESTINATIONS).map(pack),
        st.sampled_from([80, 30020, 30030]),
        st.integers(2, 30).map(lambda host: pack(f"10.244.{host % 3 + 1}.{host}")),
        st.just(8080),
        st.integers(1, 9),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(st.tuples(states(), _FLOWS), min_size=1, max_size=3))
def test_after_writing_the_difference_it_is_empty_and_who_serves_has_its_flows(
    table: Table, sequence: list[tuple[NodeState, list[Flow]]]
) -> None:
    flows = StaleFlows()
    for each, found in sequence:
        table.entries = dict.fromkeys(found)
        objects = wanted(flows, each)
        flows.write(each.base, diff(flows.read(each.base), objects))
        assert not diff(flows.read(each.base), objects)
        gone = [flow for flow in found if flow not in table.entries]
        assert [] == [flow for flow in gone if flow.target in objects.get(flow.frontend, ())]


def test_of_udp_the_table_is_listed_each_time_where_a_service_has_it(table: Table) -> None:
    reconciler = Reconciler(StaleFlows())
    reconciler.apply(state(DNS))
    assert not reconciler.drift()
    table.listed.clear()
    for _ in range(2):
        assert not reconciler.drift()
    assert ["UDP", "UDP"] == table.listed
