"""The lock file: one object a line, that git can merge and a person can read."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.allocate import Lock, format_lock, parse_lock
from groundplane.errors import CatalogError
from groundplane.model.catalog import Key

LOCK = Lock(
    held={
        Key("Workload", "default", "web-1"): ("10.244.17.66",),
        Key("Service", "default", "web"): ("10.96.131.7", "fd00:10:96::8d2"),
        Key("Node", "", "n1"): ("10.244.17.0/24",),
    },
    released={"10.96.4.5": 12, "10.96.4.4": 2},
)
TEXT = """\
# Written by `groundplane allocate`. Keep it in git beside the catalog.
Node/n1 10.244.17.0/24
Service/default/web 10.96.131.7 fd00:10:96::8d2
Workload/default/web-1 10.244.17.66
released/2 10.96.4.4
released/12 10.96.4.5
"""


def faults(text: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse_lock(text, "site/addresses.lock")
    return str(caught.value).splitlines()


def test_a_lock_is_written_sorted_by_object_and_then_by_turn() -> None:
    assert format_lock(LOCK) == TEXT


def test_a_lock_is_read_as_it_was_written() -> None:
    assert parse_lock(TEXT, "addresses.lock") == LOCK


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", TEXT.splitlines()[0]])
def test_a_lock_without_lines_holds_nothing(text: str) -> None:
    assert parse_lock(text, "addresses.lock") == Lock()


_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
_KEYS = st.one_of(
    st.builds(Key, st.sampled_from(["Service", "Workload"]), _NAMES, _NAMES),
    st.builds(Key, st.just("Node"), st.just(""), _NAMES),
)
_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(network="fd00::/8"))


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Draw a lock in which no two objects share an address."""
    keys = draw(st.lists(_KEYS, unique=True, max_size=8))
    pool = iter(draw(st.lists(_ADDRESSES, unique=True, min_size=20, max_size=20)))

    def text(key: Key) -> str:
        address = next(pool)
        return f"{address}/{address.max_prefixlen}" if key.kind == "Node" else str(address)

    held = {key: tuple(text(key) for _ in range(draw(st.integers(1, 2)))) for key in keys}
    turns = draw(st.lists(st.integers(1, 10**6), max_size=4))
    return Lock(held, {str(next(pool)): turn for turn in turns})


@given(lock=locks())
def test_any_lock_is_read_as_it_was_written(lock: Lock) -> None:
    assert parse_lock(format_lock(lock), "addresses.lock") == lock


@given(lock=locks(), seed=st.randoms(use_true_random=False))
def test_equal_locks_give_equal_bytes(lock: Lock, seed: Random) -> None:
    held, released = list(lock.held.items()), list(lock.released.items())
    seed.shuffle(held)
    seed.shuffle(released)
    assert format_lock(Lock(dict(held), dict(released))) == format_lock(lock)


def test_a_conflict_that_git_left_is_told_at_each_of_its_marks() -> None:
    text = """\
Node/n1 10.244.17.0/24
<<<<<<< HEAD
Service/default/a 10.96.0.20
||||||| 5f2e1c0
=======
Service/default/b 10.96.0.21
>>>>>>> branch
"""
    settle = "a merge conflict is left here; settle it, then run `groundplane allocate`"
    assert faults(text) == [f"site/addresses.lock:{line}: {settle}" for line in (2, 4, 5, 7)]


def test_an_address_that_a_merge_gave_twice_names_both_holders() -> None:
    assert faults("Service/default/a 10.96.0.20\nService/default/b 10.96.0.20\n") == [
        (
            "site/addresses.lock:2: 10.96.0.20 is held by Service/default/a (line 1) and by "
            "Service/default/b (line 2): delete one of the two lines, "
            "then run `groundplane allocate` for a new address"
        )
    ]


def test_an_object_has_one_line() -> None:
    assert faults("Service/default/a 10.96.0.20\nService/default/a 10.96.0.21\n") == [
        "site/addresses.lock:2: a second line for Service/default/a"
    ]


_FORMS = "Node/NAME, Service/NAMESPACE/NAME, Workload/NAMESPACE/NAME or released/TURN"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Service/web 10.96.0.20", f'"Service/web" is no start of a line: {_FORMS}'),
        ("Node/a/b 10.244.0.0/24", f'"Node/a/b" is no start of a line: {_FORMS}'),
        ("Cluster/lab 10.96.0.20", f'"Cluster/lab" is no start of a line: {_FORMS}'),
        ("released/x 10.96.0.20", f'"released/x" is no start of a line: {_FORMS}'),
        ("released/1", f'"released/1" is no start of a line: {_FORMS}'),
        ("Service/default/web", "Service/default/web has no address"),
        ("Service/default/web 10.96.0", '"10.96.0" is not an IP address'),
        ("Service/default/web 10.96.0.20 ", '"" is not an IP address'),
        ("Service/default/web FD00::0:1", '"FD00::0:1" is written "fd00::1"'),
        ("Node/n1 FD00::/64", '"FD00::/64" is written "fd00::/64"'),
        (
            "Service/default/web 10.96.0.0/24",
            "10.96.0.0/24 is no address of Service/default/web: a Service has an address",
        ),
        ("Node/n1 10.244.0.1", "10.244.0.1 is no address of Node/n1: a Node has a range"),
    ],
)
def test_a_line_that_groundplane_did_not_write_is_an_error(line: str, fault: str) -> None:
    assert faults(f"# header\n{line}\n") == [f"site/addresses.lock:2: {fault}"]


def test_all_lines_that_are_wrong_come_at_once() -> None:
    assert [fault.split(": ")[0] for fault in faults("x\nNode/n1 10.244.17.0/24\ny\n")] == [
        "site/addresses.lock:1",
        "site/addresses.lock:3",
    ]


def test_a_released_address_that_is_held_is_an_error() -> None:
    (fault,) = faults("Service/default/a 10.96.0.20\nreleased/1 10.96.0.20\n")
    assert fault.startswith(
        "site/addresses.lock:2: 10.96.0.20 is held by Service/default/a (line 1) and by released/1"
    )


def test_the_header_says_who_writes_it() -> None:
    assert format_lock(Lock()) == TEXT.splitlines()[0] + "\n"
