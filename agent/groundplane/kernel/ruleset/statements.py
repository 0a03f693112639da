"""The statements of a rule: the actions on a matching packet."""

from collections.abc import Callable, Iterator
from typing import Final

from groundplane.kernel.ruleset import expressions
from groundplane.kernel.ruleset.reading import by_first_word
from groundplane.kernel.ruleset.rule import Rule, aligned, words_of
from groundplane.kernel.ruleset.selectors import (
    CT_LABELS,
    IPV4,
    IPV6,
    LABEL,
    META_KEYS,
    PORT,
    SELECTORS,
)
from groundplane.kernel.ruleset.syntax import milliseconds
from groundplane.kernel.tables import FAMILIES

_TO_A_CHAIN: Final = ("jump", "goto")
_REJECTS: Final = {
    ("tcp", "reset"): (1, 0),  # NFT_REJECT_TCP_RST
    ("icmp", "port-unreachable"): (0, 3),  # NFT_REJECT_ICMP_UNREACH and the code
    ("icmpv6", "port-unreachable"): (0, 4),
}


def _verdict(rule: Rule, words: tuple[str, ...]) -> Iterator[bytes]:
    chain = rule.reader.take(1)[0] if words[0] in _TO_A_CHAIN else ""
    yield expressions.immediate_verdict(words[0], chain)


def _notrack(_rule: Rule, _words: tuple[str, ...]) -> Iterator[bytes]:
    yield expressions.notrack()


def _reject(rule: Rule, _words: tuple[str, ...]) -> Iterator[bytes]:
    what, why = rule.reader.take(2)
    yield expressions.reject(*_REJECTS[what, why])


def _set_meta(rule: Rule, words: tuple[str, ...]) -> Iterator[bytes]:
    key = words[1]
    type_ = SELECTORS["meta", key].type
    if rule.reader.next[0].isdigit():
        yield expressions.immediate(0, type_.parse(rule.reader.take(1)[0]))
    else:
        rule.mapped()
    yield expressions.set_meta(0, META_KEYS[key])


def _set_label(rule: Rule, _words: tuple[str, ...]) -> Iterator[bytes]:
    yield expressions.immediate(0, LABEL.parse(rule.reader.take(1)[0]))
    yield expressions.set_conntrack(0, CT_LABELS)


def _set_segment_size(_rule: Rule, _words: tuple[str, ...]) -> Iterator[bytes]:
    yield expressions.route_mss(0)
    yield expressions.to_network_order(0, 2)
    yield expressions.set_tcp_option(0, 2, 2, 2)  # maximum segment size: RFC 9293, 3.7.1


def _dnat(rule: Rule, words: tuple[str, ...]) -> Iterator[bytes]:
    family = words[1]
    name = rule.mapped()
    address = IPV4 if family == "ip" else IPV6
    port = address.words if name is not None and rule.sets.has_port(name) else None
    yield expressions.dnat(FAMILIES[family], 0, port)


def _masquerade(rule: Rule, _words: tuple[str, ...]) -> Iterator[bytes]:
    ports = rule.reader.take(1)[0] if rule.reader.next_is("to") else ""
    if not rule.reader.next_is("fully-random"):
        raise ValueError
    if not ports:
        yield expressions.masquerade()
        return
    first, _, last = ports.removeprefix(":").partition("-")
    yield expressions.immediate(0, PORT.parse(first))
    yield expressions.immediate(4, PORT.parse(last))
    yield expressions.masquerade(0, 4)


def _change(rule: Rule, words: tuple[str, ...]) -> Iterator[bytes]:
    """Read a change of a map: @name { key [timeout Ns] : data }."""
    name = rule.map_name()
    if not rule.reader.next_is("{"):
        raise ValueError
    selectors = rule.reader.selectors()
    data_word = aligned(words_of(selectors))
    rule.load(selectors, data_word)
    timeout = rule.reader.take(1)[0] if rule.reader.next_is("timeout") else "0s"
    if not rule.reader.next_is(":"):
        raise ValueError
    rule.found += rule.reader.selector().load(data_word, data_word)
    if not rule.reader.next_is("}"):
        raise ValueError
    operation = expressions.UPDATE if words[0] == "update" else expressions.DELETE
    yield expressions.dynset(0, data_word, operation, name, milliseconds(timeout))


_Statement = Callable[[Rule, tuple[str, ...]], Iterator[bytes]]
_BY_WORDS: Final[dict[tuple[str, ...], _Statement]] = {
    **{(each,): _verdict for each in ("accept", "drop", "return", *_TO_A_CHAIN)},
    ("notrack",): _notrack,
    ("reject", "with"): _reject,
    ("meta", "priority", "set"): _set_meta,
    ("meta", "mark", "set"): _set_meta,
    ("ct", "label", "set"): _set_label,
    ("dnat", "ip", "to"): _dnat,
    ("dnat", "ip6", "to"): _dnat,
    ("masquerade",): _masquerade,
    ("update",): _change,
    ("delete",): _change,
    ("tcp", "option", "maxseg", "size", "set", "rt", "mtu"): _set_segment_size,
}
STATEMENTS: Final = by_first_word(_BY_WORDS)
