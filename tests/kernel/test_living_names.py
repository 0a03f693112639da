"""The agent beside a real BIND: names that others change, and a server that hangs."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.dns import Record
from groundplane.project.node import project_base
from tests.kernel.killed import Forked
from tests.kernel.living import Living, living
from tests.kernel.named import Server
from tests.kernel.world import within
from tests.waiting import until

pytestmark = pytest.mark.slow

WEB = "web.default.svc.cluster.local"


class Named:
    """An agent, alive beside a server of its own."""

    def __init__(self, agent: Living, directory: Path) -> None:
        self.agent = agent
        self.base = project_base(compile_source(agent.source), "n1")
        self.server = Server(agent.netns, directory, self.base)
        self.forked = Forked(agent, names=self.server.plane())

    def knows(self) -> bool:
        return "10.96.0.5" in self.server.ask(WEB, "A").to_text()

    def until(self, condition: Callable[[], object], seconds: float = 10) -> float:
        return until(condition, seconds, self.agent.log, every=0.01)

    def plane(self, name: str) -> dict[str, object]:
        (found,) = (each for each in self.agent.status["planes"] if each["name"] == name)
        return dict(found)


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Named]:
    with living("named", tmp_path) as agent:
        directory = tmp_path / "bind"
        directory.mkdir()
        made = Named(agent, directory)
        try:
            made.until(lambda: made.agent.status.get("revision") and made.knows())
            yield made
        finally:
            made.forked.stop()
            made.server.stop()


def test_a_record_that_others_delete_is_back_within_a_second(named: Named) -> None:
    other = named.server.plane()
    record = Record("cluster.local.", f"{WEB}.", "A", "10.96.0.5")
    there = within(named.agent.netns, partial(other.read, named.base))
    found = next(each for each in there if (each.owner, each.type) == (record.owner, record.type))
    delta = Delta(delete={found: there[found]})
    within(named.agent.netns, partial(other.write, named.base, delta))
    assert 1.0 > named.until(named.knows)
    named.until(lambda: named.agent.events("Repaired"))
    (event,) = named.agent.events("Repaired")
    assert ("dns", True) == (event["about"], f"1 missing (record {found.owner}" in event["message"])


def test_a_server_that_hangs_keeps_no_rule_from_being_repaired(named: Named) -> None:
    whole = named.agent.rules()
    named.server.process.send_signal(signal.SIGSTOP)
    try:
        named.agent.add_a_service()
        named.until(lambda: "10.96.0.6" in " ".join(named.agent.rules()), 5)
        named.until(lambda: named.plane("dns")["busySince"], 5)
        busy_since = named.plane("dns")["busySince"]
        named.agent.nft("flush", "ruleset")
        named.until(lambda: set(whole) <= set(named.agent.rules()), 5)
        assert busy_since == named.plane("dns")["busySince"]
        shown = named.agent.groundplane("agent", "status")
        assert (1, True) == (shown.returncode, "\ndns:        busy since " in shown.stdout)
        named.until(lambda: named.plane("dns")["error"], 25)
    finally:
        named.server.process.send_signal(signal.SIGCONT)
    named.until(lambda: not named.plane("dns")["error"], 25)
    named.until(lambda: not named.plane("dns")["busySince"], 5)
    assert "10.96.0.6" in named.server.ask("api.default.svc.cluster.local", "A").to_text()
