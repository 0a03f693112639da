"""What leads packets to IPVS: tables, rules and routes, on a kernel that need not have it. Needs root."""

from collections.abc import Iterator
from functools import partial

import pytest

from groundplane.proxies.ipvs.steering import Steering, let_go
from tests.kernel.spaces import based, namespace
from tests.kernel.world import run, within

pytestmark = pytest.mark.kernel

BASE = based(proxy_mode="ipvs", external_cidrs=("203.0.113.0/24", "2001:db8:113::/64"))
DAMAGE = (
    "nft delete table ip groundplane-ipvs",
    "nft insert rule ip6 groundplane-ipvs filter-input accept",
    "nft flush chain ip groundplane-ipvs leaving",
    "nft add element ip groundplane-ipvs balanced { 192.0.2.0/24 }",
    "ip rule del priority 471",
    "ip -6 rule del priority 471",
    "ip rule del priority 471; ip rule add priority 471 fwmark 1/1 table 7071",
    "ip route del local 203.0.113.0/24 table 7071",
    "ip -6 route flush table 7071",
)


@pytest.fixture
def netns() -> Iterator[str]:
    with namespace("steering") as made:
        yield made


def holds(netns: str, led: Steering) -> bool:
    return within(netns, led.holds)


def lead(netns: str, led: Steering) -> None:
    within(netns, partial(led.lead, BASE))


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_missing_or_another_is_seen_and_put_back(netns: str, damage: str) -> None:
    led = Steering()
    lead(netns, led)
    assert holds(netns, led)
    tables = run(netns, "nft", "-s", "list", "ruleset")
    run(netns, "sh", "-c", damage)
    assert not holds(netns, led)
    lead(netns, led)
    assert holds(netns, led)
    assert tables == run(netns, "nft", "-s", "list", "ruleset")


def test_what_another_process_left_is_replaced(netns: str) -> None:
    lead(netns, Steering())
    tables = run(netns, "nft", "-s", "list", "ruleset")
    run(netns, "sh", "-c", DAMAGE[1])
    lead(netns, Steering())
    assert tables == run(netns, "nft", "-s", "list", "ruleset")


def test_the_mark_leads_to_services_and_to_nothing_else(netns: str) -> None:
    """Whoever asks by it for the way back to a client finds the client's own."""
    lead(netns, Steering())
    run(netns, "ip", "link", "add", "uplink", "type", "bridge")
    run(netns, "ip", "link", "set", "uplink", "up")
    run(netns, "ip", "address", "add", "192.0.2.1/24", "dev", "uplink")

    def way(address: str) -> str:
        return run(netns, "ip", "route", "get", address, "mark", "0x47400000")

    assert way("10.96.0.9").startswith("local 10.96.0.9 dev lo table 7071")
    assert "dev uplink" in way("192.0.2.9")


def test_nothing_of_it_stays(netns: str) -> None:
    before = run(netns, "ip", "rule") + run(netns, "ip", "-6", "rule")
    lead(netns, Steering())
    within(netns, let_go)
    assert before == run(netns, "ip", "rule") + run(netns, "ip", "-6", "rule")
    for flag in ("-4", "-6"):
        assert "7071" not in run(netns, "ip", flag, "route", "show", "table", "all")
    assert "" == run(netns, "nft", "list", "tables")
    within(netns, let_go)
