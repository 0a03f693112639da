"""What the kernel says of the nf_tables of a network namespace, so that two can be compared."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress

from groundplane.kernel.netlink import DUMP, Socket, attribute, attributes, netfilter
from groundplane.kernel.tables import GET_CHAINS, GET_ELEMENTS, GET_TABLE, HEADER, SUBSYSTEM

_GET_RULES, _GET_SETS = SUBSYSTEM << 8 | 7, SUBSYSTEM << 8 | 10
_TABLE, _NAME = 1, 2
# Numbers that the kernel gives, and counts: NFTA_TABLE_USE and _HANDLE, and so on.
_TABLE_NUMBERS, _CHAIN_NUMBERS, _SET_NUMBERS, _RULE_NUMBERS = {3, 4}, {2, 6}, {16}, {3, 6}

Found = dict[str, list[str]]


def dump() -> Found:
    """Return all of it: for each object what it is in hexadecimal, those of a chain in their order."""
    found: Found = defaultdict(list)
    with closing(Socket()) as netlink:
        for family, table in _each(netlink, GET_TABLE):
            found[_where("table", family, table[_TABLE])] = _rest(table, {_TABLE, *_TABLE_NUMBERS})
        for family, chain in _each(netlink, GET_CHAINS):
            where = _where("chain", family, chain[_TABLE], chain[3])
            found[where] = _rest(chain, {_TABLE, 3, *_CHAIN_NUMBERS})
        for family, rule in _each(netlink, _GET_RULES):
            where = _where("rules", family, rule[_TABLE], rule[2])
            found[where] += _rest(rule, {_TABLE, 2, *_RULE_NUMBERS})
        for family, set_ in list(_each(netlink, _GET_SETS)):
            where = _where("set", family, set_[_TABLE], set_[_NAME])
            found[where] = _rest(set_, {_TABLE, _NAME, *_SET_NUMBERS})
            found[where] += sorted(_elements(netlink, family, set_))
    return dict(found)


def _each(netlink: Socket, kind: int) -> Iterator[tuple[int, dict[int, bytes]]]:
    for body in netlink.ask(kind, DUMP, netfilter(0)):
        yield body[0], dict(attributes(body, HEADER))


def _elements(netlink: Socket, family: int, set_: dict[int, bytes]) -> Iterator[str]:
    body = netfilter(family) + attribute(1, set_[_TABLE]) + attribute(2, set_[_NAME])
    with suppress(FileNotFoundError):
        for answer in netlink.ask(GET_ELEMENTS, DUMP, body):
            for kind, listed in attributes(answer, HEADER):
                if kind == 3:
                    yield from (entry.hex() for _, entry in attributes(listed))


def _where(what: str, family: int, *names: bytes) -> str:
    return " ".join((what, str(family), *(name.rstrip(b"\0").decode() for name in names)))


def _rest(found: dict[int, bytes], without: set[int]) -> list[str]:
    return [f"{kind}: {value.hex()}" for kind, value in found.items() if kind not in without]
