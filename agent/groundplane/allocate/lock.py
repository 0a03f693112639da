"""The lock file: which object holds which addresses, and which were released, in what order.

One object a line, sorted, so that git merges two branches line by line:

    Node/n1 10.244.17.0/24
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
_KINDS: Final = {"Node": 2, "Service": 3, "Workload": 3}
_CONFLICT: Final = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_RELEASED: Final = re.compile(r"released/(\d+) (\S+)", re.ASCII)
_SETTLE: Final = "a merge conflict is left here; settle it, then run `groundplane allocate`"


@dataclass(frozen=True)
class Lock:
    """*held* maps an object to its addresses (a node's are ranges), *released* one to its turn."""

    held: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)


def parse_lock(text: str, file: str) -> Lock:
    """Return the lock that *text* says; CatalogError with every line that is wrong."""
    held: dict[Key, tuple[str, ...]] = {}
    released: dict[str, int] = {}
    holders: dict[str, str] = {}
    faults: list[Fault] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, *addresses = line.split(" ")
            if line.startswith(_CONFLICT):
                raise ValueError(_SETTLE)
            for each in addresses:
                _check_address(each, holders, f"{name} (line {number})")
            if turn := _RELEASED.fullmatch(line):
                released[turn[2]] = int(turn[1])
                continue
            key = _key(name, addresses)
            if key in held:
                raise ValueError(f"a second line for {name}")
            held[key] = tuple(addresses)
        except ValueError as error:
            faults.append(Fault(Origin(file, number), "", "", str(error)))
    if faults:
        raise CatalogError(faults)
    return Lock(held, released)


def _key(name: str, addresses: Sequence[str]) -> Key:
    kind, *rest = name.split("/")
    if _KINDS.get(kind) != 1 + len(rest) or not all(rest):
        forms = "Node/NAME, Service/NAMESPACE/NAME, Workload/NAMESPACE/NAME or released/TURN"
        raise ValueError(f'"{name}" is no start of a line: {forms}')
    if not addresses:
        raise ValueError(f"{name} has no address")
    for each in addresses:
        if ("/" in each) != (kind == "Node"):
            wanted = "a range" if kind == "Node" else "an address"
            raise ValueError(f"{each} is no address of {name}: a {kind} has {wanted}")
    return Key(kind, rest[0] if len(rest) == 2 else "", rest[-1])


def _check_address(text: str, holders: dict[str, str], holder: str) -> None:
    canonical = address.canonical_range(text) if "/" in text else address.canonical(text)
    if canonical != text:
        raise ValueError(f'"{text}" is written "{canonical}"')
    other = holders.setdefault(text, holder)
    if other != holder:
        raise ValueError(
            f"{text} is held by {other} and by {holder}: delete one of the two lines, "
            "then run `groundplane allocate` for a new address"
        )


def format_lock(lock: Lock) -> str:
    """Return the text of *lock*: equal locks give equal bytes."""
    lines = [f"{key} {' '.join(addresses)}" for key, addresses in lock.held.items()]
    turns = sorted((turn, text) for text, turn in lock.released.items())
    lines.sort()
    lines += [f"released/{turn} {text}" for turn, text in turns]
    return _HEADER + "".join(f"{line}\n" for line in lines)
