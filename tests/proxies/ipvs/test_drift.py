"""What is known to be there, compared with what is."""

from collections import defaultdict

import pytest

from groundplane.dataplanes.diff import diff
from groundplane.proxies.ipvs.drift import Digests
from groundplane.proxies.ipvs.objects import Scheduling, ServerKey, Value, is_destination, server

WEB, API = server("10.96.0.1", "TCP", 80), server("10.96.0.2", "TCP", 80)
ONE, OTHER = bytes((10, 244, 1, 10, 0, 80)), bytes((10, 244, 1, 11, 0, 80))
RR, WRR = Scheduling("rr"), Scheduling("wrr")
THERE: dict[ServerKey, Value] = {WEB: RR, WEB + ONE: 1, WEB + OTHER: 2, API: RR, API + ONE: 1}


def differ(known: Digests, there: dict[ServerKey, Value]) -> bool:
    servers = {key: value for key, value in there.items() if isinstance(value, Scheduling)}
    destinations = defaultdict[ServerKey, list[tuple[ServerKey, int]]](list)
    for key, value in there.items():
        if isinstance(value, int):
            destinations[key[: len(WEB)]].append((key, value))
    return known.differ(servers, lambda of: destinations[of])


def test_what_is_as_known_does_not_differ_in_whatever_order() -> None:
    known = Digests(THERE)
    assert not differ(known, THERE)
    assert not differ(known, dict(reversed(THERE.items())))


@pytest.mark.parametrize(
    "change",
    [{WEB: WRR}, {WEB + ONE: 3}, {WEB + ONE: 2, WEB + OTHER: 1}, {API + OTHER: 1}],
)
def test_every_change_is_one(change: dict[ServerKey, Value]) -> None:
    assert differ(Digests(THERE), THERE | change)


@pytest.mark.parametrize("gone", [API, WEB + ONE])
def test_so_is_everything_that_is_gone(gone: ServerKey) -> None:
    assert differ(Digests(THERE), {k: v for k, v in THERE.items() if not k.startswith(gone)})


def test_a_destination_that_is_leaving_is_not_there() -> None:
    assert not differ(Digests(THERE), THERE | {API + OTHER: 0})


def test_own_changes_are_known() -> None:
    wanted: dict[ServerKey, Value] = {WEB: WRR, WEB + ONE: 2, API: RR, API + OTHER: 1}
    known = Digests(THERE)
    known.change(diff(THERE, wanted))
    assert not differ(known, wanted)
    known.change(diff(wanted, {}))
    assert not differ(known, {})
    assert not known._behind  # nothing is kept of what is gone


def test_of_very_many_servers_some_are_looked_at_each_time() -> None:
    many: dict[ServerKey, Value] = {}
    for number in range(2500):
        key = server(f"10.96.{number // 256}.{number % 256}", "TCP", 80)
        many |= {key: RR, key + ONE: 1}
    last = list(many)[-1]
    assert is_destination(last)
    known = Digests(many)
    changed = many | {last: 2}
    assert [False, False, True] == [differ(known, changed) for _ in range(3)]
    assert [False, False, True] == [differ(known, changed) for _ in range(3)]
