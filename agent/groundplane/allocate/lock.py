"""The lock file: the addresses that each object holds, and released ones in order of release.

Each object is one line, and lines are sorted, so that git merges two branches line by line:

    HealthCheck/default/web 31999
    LoadBalancer/default/web 203.0.113.10 2001:db8:1::10
    Node/n1 10.244.17.0/24
    NodePort/default/web/TCP/80 30080
    Service/default/web 10.96.131.7 fd00:10:96::8d2
    Workload/default/web-1 10.244.17.66
    released/1 10.96.4.4
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from groundplane.documents.catalog import DocumentKey
from groundplane.errors import CatalogError, Fault, Origin
from groundplane.net import address

LOCK_NAME: Final = "addresses.lock"
_HEADER: Final = "# Written by `groundplane allocate`. Keep it in git beside the catalog.\n"
_HOLDS: Final = {  # how many names identify an object of each kind, and what it holds
    "HealthCheck": (2, "a port"),
    "LoadBalancer": (2, "an address"),
    "Node": (1, "a range"),
    "NodePort": (4, "a port"),
    "Service": (2, "an address"),
    "Workload": (2, "an address"),
}
# The line of a service or workload with one IPv4 address.
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN: Final = re.compile(
    rf"^(Service|Workload)/([A-Za-z0-9.-]+)/([A-Za-z0-9.-]+) ({_OCTET}(?:\.{_OCTET}){{3}})$",
    re.MULTILINE | re.ASCII,
)
_PORT: Final = re.compile(r".*/(?:TCP|UDP|SCTP)/[1-9]\d*", re.ASCII)
_STARTS: Final = (
    "HealthCheck/NAMESPACE/SERVICE, LoadBalancer/NAMESPACE/SERVICE, Node/NAME, "
    "NodePort/NAMESPACE/SERVICE/PROTOCOL/PORT, Service/NAMESPACE/NAME, Workload/NAMESPACE/NAME "
    "or released/TURN"
)
_CONFLICT: Final = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_RELEASED: Final = re.compile(r"released/(\d{1,18}) (\S+)", re.ASCII)
_START: Final = re.compile(r"[A-Za-z]+(?:/[A-Za-z0-9.-]+)+", re.ASCII)
_CUT: Final = "the line has no end: restore the file as it was, since it may have been cut off"
_SETTLE: Final = "a merge conflict is left here; settle it, then run `groundplane allocate`"


@dataclass(frozen=True)
class Lock:
    """*held*: addresses, ranges (of a Node) or port by object; *released*: turn by address."""

    held: Mapping[DocumentKey, tuple[str, ...]] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)


def parse_lock(text: str, file: str) -> Lock:
    """Return the lock parsed from *text*; CatalogError lists every invalid line."""
    return _parsed_fast(text) or _parsed(text, file)


def _parsed_fast(text: str) -> Lock | None:
    """Return the lock that `_parsed` returns; None if there is any doubt that it is valid.

    Most lines of a large lock are alike, and are read all at once.
    """
    alike = _PLAIN.findall(text)
    held = {DocumentKey(kind, *names): (given,) for kind, *names, given in alike}
    given = {each[-1] for each in alike}
    lines = text.splitlines()
    rest = _Reading([each for each in lines if not each.startswith(("Service/", "Workload/"))])
    if not len(held) == len(given) == len(alike) == len(lines) - len(rest.lines):
        return None
    try:
        rest.take_all()
    except ValueError:
        return None
    if not text.endswith("\n") or not given.isdisjoint(rest.first):
        return None
    return Lock(held | rest.held, rest.released)


def _parsed(text: str, file: str) -> Lock:
    reading = _Reading(text.splitlines())
    faults: list[Fault] = []
    for number, line in reading.numbered():
        try:
            reading.take(number, line)
        except ValueError as error:
            faults.append(Fault(Origin(file, number), "", "", str(error)))
    if text and not text.endswith("\n"):
        faults.append(Fault(Origin(file, len(reading.lines)), "", "", _CUT))
    if faults:
        raise CatalogError(faults)
    return Lock(reading.held, reading.released)


class _Reading:
    """The lines of a lock, and the entries parsed so far."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.held: dict[DocumentKey, tuple[str, ...]] = {}
        self.released: dict[str, int] = {}
        self.first: dict[str, int] = {}  # the first line of each address and each object

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of each line, except comments and empty lines."""
        for number, line in enumerate(self.lines, start=1):
            if line.strip() and not line.startswith("#"):
                yield number, line

    def take_all(self) -> None:
        """Parse all lines; ValueError says what is wrong with the first that is."""
        for number, line in self.numbered():
            self.take(number, line)

    def take(self, number: int, line: str) -> None:
        """Parse *line*; ValueError says what is wrong with it."""
        if line.startswith(_CONFLICT):
            raise ValueError(_SETTLE)
        name, *given = line.split(" ")
        if not all(given):
            raise ValueError("one space is between two parts of a line, and none at its end")
        if not _START.fullmatch(name):
            raise ValueError(f'"{name}" cannot begin a line: {_STARTS}')
        kinds = [_form(each) for each in given]
        self._require_first(number, given)
        if turn := _RELEASED.fullmatch(line):
            self.released[turn[2]] = int(turn[1])
            return
        key = _key(name, given, kinds)
        self._require_only(number, name)
        self.held[key] = tuple(given)

    def _require_first(self, number: int, given: Sequence[str]) -> None:
        """Raise ValueError if a line before *number* has one of *given*, which they cannot share."""
        for each in given:
            first = self.first.setdefault(each, number)
            if first != number:
                _check_shared(each, self.lines, first, number)

    def _require_only(self, number: int, name: str) -> None:
        """Raise ValueError if a line before *number* is about *name*."""
        first = self.first.setdefault(name, number)
        if first != number:
            raise ValueError(f"a second line for {name}, after line {first}: delete one of the two")


def _form(text: str) -> str:
    """Return the kind of *text*; ValueError if it is of no known kind or not canonical."""
    if "/" in text:
        kind, canonical = "a range", address.canonical_range(text)
    elif text.isdecimal():
        if len(text) > 9 or not 1 <= int(text) <= 65535:
            raise ValueError(f"{text} is not a port: 1 to 65535")
        kind, canonical = "a port", str(int(text))
    else:
        kind, canonical = "an address", address.canonical(text)
    if canonical != text:
        raise ValueError(f'"{text}" is written "{canonical}"')
    return kind


def _key(name: str, given: Sequence[str], kinds: Sequence[str]) -> DocumentKey:
    kind, *names = name.split("/")
    count, wanted = _HOLDS.get(kind, (-1, ""))
    if len(names) != count or not all(names) or (count == 4 and not _PORT.fullmatch(name)):
        raise ValueError(f'"{name}" cannot begin a line: {_STARTS}')
    if kinds != [wanted]:
        _check_kinds(name, wanted, given, kinds)
        if len({address.family_of(each) for each in given}) < len(given):
            raise ValueError(f"{name} has two of one family: delete what is not its own")
    return DocumentKey(kind, names[0] if count > 1 else "", "/".join(names[count > 1 :]))


def _check_kinds(name: str, wanted: str, given: Sequence[str], kinds: Sequence[str]) -> None:
    """Raise ValueError unless *name* has values (*given*), and all of *kinds* are *wanted*."""
    kind, noun = name.partition("/")[0], wanted.partition(" ")[2]
    if not given:
        raise ValueError(f"{name} has no {noun}")
    for each, what in zip(given, kinds, strict=True):
        if what != wanted:
            raise ValueError(f"{each} is not {wanted} of {name}: a {kind} has {wanted}")
    if wanted == "a port" and len(given) > 1:
        raise ValueError(f"{name} has {len(given)} ports; a {kind} has one")


def _check_shared(text: str, lines: Sequence[str], first: int, second: int) -> None:
    """Reject *text*, which two of *lines* contain, if a merge gave it to both."""
    one, other = (lines[number - 1].partition(" ")[0] for number in (first, second))
    if not _share(one, other):
        what = "port" if text.isdecimal() else "address"
        raise ValueError(
            f"{text} is held by {one} (line {first}) and by {other} (line {second}): "
            f"delete one of the two lines, then run `groundplane allocate` for a new {what}"
        )


def _share(one: str, other: str) -> bool:
    """Return whether two objects may hold the same address or port; their documents decide.

    Ports of a service that differ in protocol share a node port. Load balancers share an address
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
