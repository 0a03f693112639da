"""The agent as a process, on a node of its own: what others break, it repairs, and says so."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.living import Living, living
from tests.kernel.world import run

pytestmark = pytest.mark.kernel


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Living]:
    with living("living", tmp_path) as made:
        made.start()
        made.until_healthy()
        yield made


DAMAGE = {
    "the whole ruleset is flushed": "nft flush ruleset",
    "a table is deleted": "nft delete table bridge groundplane",
    "a map is emptied": "nft flush map ip groundplane choices",
    "a rule is added": "nft insert rule ip groundplane services accept",
    "an element is added": "nft add element ip groundplane nodes { 198.51.100.1 }",
    "a route is removed": "ip route del 10.244.2.0/24",
    "the route of services is removed": "ip route del 10.96.0.0/24",
    "an address is removed": "ip address del 10.244.1.1/24 dev groundplane0",
    "the bridge is down for a moment": "ip link set groundplane0 down; ip link set groundplane0 up",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_others_damage_is_repaired_within_a_second(agent: Living, damage: str) -> None:
    whole = agent.rules()
    start = time.monotonic()
    run(agent.netns, "sh", "-c", DAMAGE[damage])
    agent.until(lambda: agent.events("Repaired"), 5)
    assert 1.0 > time.monotonic() - start
    assert whole == agent.rules()
    (event,) = agent.events("Repaired")
    (plane,) = (plane for plane in agent.status["planes"] if plane["name"] == event["about"])
    assert ("", 1, "") == (plane["error"], plane["repairs"], plane["contested"])
    if DAMAGE[damage].startswith("nft"):
        assert event["message"].startswith("was changed by nft (pid ")
