"""The lock file: which object holds which addresses, and which were released, in what order.

One object a line, sorted, so that git merges two branches line by line:

    HealthCheck/default/web 31999
    LoadBalancer/default/web 203.0.113.10 2001:db8:1::10
    Node/n1 10.244.17.0/24
    NodePort/default/web/TCP/80 30080
    Service/default/web 10.96.131.7 fd00:10:96::8d2
    Workload/default/web-1 10.244.17.66
    released/1 10.96.4.4
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from groundplane.errors import CatalogError, Fault, Origin
from groundplane.model import address
from groundplane.model.catalog import Key

LOCK_NAME: Final = "addresses.lock"
_HEADER: Final = "# Written by `groundplane allocate`. Keep it in git beside the catalog.\n"
_FORMS: Final = {  # what identifies an object of each kind, and what it holds
    "HealthCheck": (re.compile(r"([^/]+)/([^/]+)"), "a port"),
    "LoadBalancer": (re.compile(r"([^/]+)/([^/]+)"), "an address"),
    "Node": (re.compile(r"()([^/]+)"), "a range"),
    "NodePort": (re.compile(r"([^/]+)/([^/]+/(?:TCP|UDP|SCTP)/[1-9]\d*)", re.ASCII), "a port"),
    "Service": (re.compile(r"([^/]+)/([^/]+)"), "an address"),
    "Workload": (re.compile(r"([^/]+)/([^/]+)"), "an address"),
}
_STARTS: Final = (
    "HealthCheck/NAMESPACE/SERVICE, LoadBalancer/NAMESPACE/SERVICE, Node/NAME, "
    "NodePort/NAMESPACE/SERVICE/PROTOCOL/PORT, Service/NAMESPACE/NAME, Workload/NAMESPACE/NAME "
    "or released/TURN"
)
_CONFLICT: Final = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_RELEASED: Final = re.compile(r"released/(\d+) (\S+)", re.ASCII)
_SETTLE: Final = "a merge conflict is left here; settle it, then run `groundplane allocate`"


@dataclass(frozen=True)
class Lock:
    """*held* maps an object to its addresses, ranges (a Node's) or port; *released* one to its turn."""

    held: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)


def parse_lock(text: str, file: str) -> Lock:
    """Return the lock that *text* says; CatalogError with every line that is wrong."""
    held: dict[Key, tuple[str, ...]] = {}
    released: dict[str, int] = {}
    holders: dict[str, tuple[str, str]] = {}
    faults: list[Fault] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, *given = line.split(" ")
            if line.startswith(_CONFLICT):
                raise ValueError(_SETTLE)
            for each in given:
                _check_form(each)
                _check_holder(each, holders, name, f"{name} (line {number})")
            if turn := _RELEASED.fullmatch(line):
                released[turn[2]] = int(turn[1])
                continue
            key = _key(name, given)
            if key in held:
                raise ValueError(f"a second line for {name}")
            held[key] = tuple(given)
        except ValueError as error:
            faults.append(Fault(Origin(file, number), "", "", str(error)))
    if faults:
        raise CatalogError(faults)
    return Lock(held, released)


def _key(name: str, given: Sequence[str]) -> Key:
    kind, _, rest = name.partition("/")
    form, wanted = _FORMS.get(kind, (None, ""))
    found = form.fullmatch(rest) if form else None
    if found is None:
        raise ValueError(f'"{name}" is no start of a line: {_STARTS}')
    if not given:
        raise ValueError(f"{name} has no {wanted.partition(' ')[2]}")
    for each in given:
        if _what(each) != wanted:
            noun = wanted.partition(" ")[2]
            raise ValueError(f"{each} is no {noun} of {name}: a {kind} has {wanted}")
    if wanted == "a port" and len(given) > 1:
        raise ValueError(f"{name} has {len(given)} ports; a {kind} has one")
    return Key(kind, found[1], found[2])


def _what(text: str) -> str:
    return "a range" if "/" in text else "a port" if text.isdecimal() else "an address"


def _check_form(text: str) -> None:
    if text.isdecimal():
        canonical = str(int(text))
        if not 1 <= int(text) <= 65535:
            raise ValueError(f"{text} is no port: 1 to 65535")
    else:
        canonical = address.canonical_range(text) if "/" in text else address.canonical(text)
    if canonical != text:
        raise ValueError(f'"{text}" is written "{canonical}"')


def _check_holder(text: str, holders: dict[str, tuple[str, str]], name: str, holder: str) -> None:
    """Refuse *text* when another has it already: a merge gave it to both."""
    other, placed = holders.setdefault(text, (name, holder))
    if placed != holder and not _share(other, name):
        what = "port" if text.isdecimal() else "address"
        raise ValueError(
            f"{text} is held by {placed} and by {holder}: delete one of the two lines, "
            f"then run `groundplane allocate` for a new {what}"
        )


def _share(one: str, other: str) -> bool:
    """Whether two objects may hold the same: what their documents fix decides it.

    Ports of a service that differ in protocol share a node port, and load balancers an address
    that both fix.
    """
    kinds = {one.partition("/")[0], other.partition("/")[0]}
    if kinds == {"NodePort"}:
        service, protocol = one.split("/")[1:3], one.split("/")[3:4]
        return service == other.split("/")[1:3] and protocol != other.split("/")[3:4]
    return kinds == {"LoadBalancer"}


def format_lock(lock: Lock) -> str:
    """Return the text of *lock*: equal locks give equal bytes."""
    lines = [f"{key} {' '.join(addresses)}" for key, addresses in lock.held.items()]
    turns = sorted((turn, text) for text, turn in lock.released.items())
    lines.sort()
    lines += [f"released/{turn} {text}" for turn, text in turns]
    return _HEADER + "".join(f"{line}\n" for line in lines)
