"""The lock file: one object a line, that git can merge and a person can read."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.allocate import Lock, format_lock, lock, parse_lock
from groundplane.documents.catalog import DocumentKey
from groundplane.errors import CatalogError, Fault, printable

LOCK = Lock(
    held={
        DocumentKey("Workload", "default", "web-1"): ("10.244.17.66",),
        DocumentKey("Service", "default", "web"): ("10.96.131.7", "fd00:10:96::8d2"),
        DocumentKey("Node", "", "n1"): ("10.244.17.0/24",),
        DocumentKey("NodePort", "default", "web/TCP/80"): ("30080",),
        DocumentKey("HealthCheck", "default", "web"): ("31999",),
        DocumentKey("LoadBalancer", "default", "web"): ("203.0.113.10", "2001:db8:1::10"),
    },
    released={"10.96.4.5": 12, "10.96.4.4": 2, "30090": 3},
)
TEXT = """\
# Written by `groundplane allocate`. Keep it in git beside the catalog.
HealthCheck/default/web 31999
LoadBalancer/default/web 203.0.113.10 2001:db8:1::10
Node/n1 10.244.17.0/24
NodePort/default/web/TCP/80 30080
Service/default/web 10.96.131.7 fd00:10:96::8d2
Workload/default/web-1 10.244.17.66
released/2 10.96.4.4
released/3 30090
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


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", TEXT.splitlines()[0] + "\n"])
def test_a_lock_without_lines_holds_nothing(text: str) -> None:
    assert parse_lock(text, "addresses.lock") == Lock()


_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
_PORTS = st.builds(
    "{}/{}/{}".format, _NAMES, st.sampled_from(["TCP", "UDP", "SCTP"]), st.integers(1, 65535)
)
_KEYS = st.one_of(
    st.builds(
        DocumentKey, st.sampled_from(["Service", "Workload", "LoadBalancer"]), _NAMES, _NAMES
    ),
    st.builds(DocumentKey, st.just("HealthCheck"), _NAMES, _NAMES),
    st.builds(DocumentKey, st.just("NodePort"), _NAMES, _PORTS),
    st.builds(DocumentKey, st.just("Node"), st.just(""), _NAMES),
)
_ADDRESSES = (st.ip_addresses(v=4), st.ip_addresses(network="fd00::/8"))


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Draw a lock in which no two objects share an address or a port."""
    keys = draw(st.lists(_KEYS, unique=True, max_size=8))
    four, six = (
        iter(draw(st.lists(each, unique=True, min_size=12, max_size=12))) for each in _ADDRESSES
    )
    ports = iter(draw(st.lists(st.integers(1, 65535), unique=True, min_size=12, max_size=12)))

    def texts(key: DocumentKey) -> tuple[str, ...]:
        if key.kind in ("NodePort", "HealthCheck"):
            return (str(next(ports)),)
        found = [next(each) for each in draw(st.sampled_from([(four,), (six,), (four, six)]))]
        if key.kind == "Node":
            return tuple(f"{each}/{each.max_prefixlen}" for each in found)
        return tuple(map(str, found))

    held = {key: texts(key) for key in keys}
    turns = draw(st.lists(st.integers(1, 10**6), max_size=4))
    return Lock(
        held, {str(next(draw(st.sampled_from([four, six, ports])))): turn for turn in turns}
    )


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


@pytest.mark.parametrize("cut", [1, 3, 20])
def test_a_file_that_was_cut_off_is_an_error(cut: int) -> None:
    """The rest of a line may be an address, too."""
    lines = TEXT[:-cut].count("\n") + 1
    end = "the line has no end: restore the file as it was, since it may have been cut off"
    assert f"site/addresses.lock:{lines}: {end}" in faults(TEXT[:-cut])


def test_an_object_has_one_line() -> None:
    assert faults("Service/default/a 10.96.0.20\nService/default/a 10.96.0.21\n") == [
        "site/addresses.lock:2: a second line for Service/default/a, after line 1: delete one of the two"
    ]


_STARTS = (
    "HealthCheck/NAMESPACE/SERVICE, LoadBalancer/NAMESPACE/SERVICE, Node/NAME, "
    "NodePort/NAMESPACE/SERVICE/PROTOCOL/PORT, Service/NAMESPACE/NAME, Workload/NAMESPACE/NAME "
    "or released/TURN"
)


@pytest.mark.parametrize(
    "start",
    [
        "Service/web",
        "Service/default/web/80",
        "Service//web",
        "Node/a/b",
        "Cluster/lab",
        "released/x",
        "NodePort/default/web",
        "NodePort/default/web/80",
        "NodePort/default/web/tcp/80",
        "NodePort/default/web/TCP/080",
        "HealthCheck/web",
        "hello",
        "Service/default/w\x1b[31m",
    ],
)
def test_a_line_starts_with_what_holds_the_rest(start: str) -> None:
    assert faults(f"# header\n{start} 10.96.0.20\n") == [
        f'site/addresses.lock:2: "{printable(start)}" cannot begin a line: {_STARTS}'
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("released/1", f'"released/1" cannot begin a line: {_STARTS}'),
        ("Service/default/web", "Service/default/web has no address"),
        ("HealthCheck/default/web", "HealthCheck/default/web has no port"),
        ("Service/default/web 10.96.0", '"10.96.0" is not an IP address'),
        (
            "Service/default/web 10.96.0.20 ",
            "one space is between two parts of a line, and none at its end",
        ),
        ("Service/default/web FD00::0:1", '"FD00::0:1" is written "fd00::1"'),
        ("Node/n1 FD00::/64", '"FD00::/64" is written "fd00::/64"'),
        (
            "Service/default/web 10.96.0.0/24",
            "10.96.0.0/24 is not an address of Service/default/web: a Service has an address",
        ),
        ("Node/n1 10.244.0.1", "10.244.0.1 is not a range of Node/n1: a Node has a range"),
        (
            "HealthCheck/default/web 10.244.0.1",
            "10.244.0.1 is not a port of HealthCheck/default/web: a HealthCheck has a port",
        ),
        (
            "LoadBalancer/default/web 30080",
            "30080 is not an address of LoadBalancer/default/web: a LoadBalancer has an address",
        ),
        (
            "Service/default/web 10.96.0.20 fd00::1 10.96.0.21",
            "Service/default/web has two of one family: delete what is not its own",
        ),
        ("NodePort/default/web/TCP/80 030080", '"030080" is written "30080"'),
        ("NodePort/default/web/TCP/80 65536", "65536 is not a port: 1 to 65535"),
        ("NodePort/default/web/TCP/80 3008000000", "3008000000 is not a port: 1 to 65535"),
        (
            "NodePort/default/web/TCP/80 30080 30081",
            "NodePort/default/web/TCP/80 has 2 ports; a NodePort has one",
        ),
    ],
)
def test_a_line_that_groundplane_did_not_write_is_an_error(line: str, fault: str) -> None:
    assert faults(f"# header\n{line}\n") == [f"site/addresses.lock:2: {fault}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NodePort/default/a/TCP/53 30053", "NodePort/default/b/UDP/53 30053"),
        ("NodePort/default/a/TCP/53 30053", "NodePort/shop/a/UDP/53 30053"),
        ("NodePort/default/a/TCP/53 30053", "NodePort/default/a/TCP/54 30053"),
        ("NodePort/default/a/TCP/53 30053", "HealthCheck/default/a 30053"),
        ("NodePort/default/a/TCP/53 30053", "released/1 30053"),
    ],
)
def test_a_port_that_a_merge_gave_twice_names_both_holders(one: str, other: str) -> None:
    first, second = one.partition(" ")[0], other.partition(" ")[0]
    assert faults(f"{one}\n{other}\n") == [
        (
            f"site/addresses.lock:2: 30053 is held by {first} (line 1) and by {second} (line 2): "
            "delete one of the two lines, then run `groundplane allocate` for a new port"
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        "NodePort/default/a/TCP/53 30053\nNodePort/default/a/UDP/53 30053\n",
        "NodePort/default/a/TCP/53 30053\nNodePort/default/a/UDP/54 30053\n",
        "LoadBalancer/default/a 203.0.113.5\nLoadBalancer/default/b 203.0.113.5\n",
    ],
)
def test_what_may_be_shared_is_no_error_of_the_lock(text: str) -> None:
    """A node port by two protocols of a service, an address by load balancers that both fix it."""
    assert len(parse_lock(text, "addresses.lock").held) == 2


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


_LINES = [
    "Service/a/web 10.96.0.2",
    "Service/a/web 10.96.0.3",
    "Service/a/dual 10.96.0.4 fd00::4",
    "Service/b/web 010.96.0.5",
    "Service/b/web 10.96.0.2",
    "Workload/a/w 10.96.0.2",
    "Workload/a/w 10.244.0.7",
    "Workload/a/w 10.244.0.7 ",
    "Workload/a/v 10.244.0.8\x0bWorkload/a/u 10.244.0.9",
    "Workload/a/t/u 10.244.0.10",
    "Node/n1 10.244.0.0/24",
    "NodePort/a/web/TCP/80 30080",
    "LoadBalancer/a/web 203.0.113.1",
    "LoadBalancer/b/web 203.0.113.1",
    "released/1 10.96.0.3",
    "# a comment",
    "",
    "<<<<<<< ours",
]


@given(st.lists(st.sampled_from(_LINES), max_size=8), st.booleans())
def test_lines_read_at_once_come_to_what_they_come_to_one_by_one(
    lines: list[str], is_ended: bool
) -> None:
    text = "\n".join(lines) + "\n" * is_ended

    def result(parse: Callable[[str, str], Lock]) -> Lock | tuple[Fault, ...]:
        try:
            return parse(text, "addresses.lock")
        except CatalogError as error:
            return error.faults

    assert result(lock._parsed) == result(parse_lock)
