"""The matches of a rule: the conditions on a packet."""

from typing import Final

from groundplane.kernel.ruleset import expressions
from groundplane.kernel.ruleset.reading import either
from groundplane.kernel.ruleset.rule import Rule, aligned, words_of
from groundplane.kernel.ruleset.selectors import NAME, Selector

_OPERATORS: Final = {"==": expressions.EQ, "!=": expressions.NEQ}


def match(rule: Rule) -> None:
    selectors = rule.reader.selectors()
    rule.load(selectors, aligned(words_of(selectors)))
    if rule.reader.next_is("vmap"):
        rule.found.append(expressions.verdict_mapped(0, rule.map_name()))
        return
    operator = expressions.EQ
    if rule.reader.next in _OPERATORS:
        operator = _OPERATORS[rule.reader.take(1)[0]]
    inverted = operator == expressions.NEQ
    if rule.reader.next.startswith("@"):
        rule.found.append(expressions.lookup(0, rule.map_name(), inverted=inverted))
        return
    (selector,) = selectors
    if rule.reader.next_is("{"):
        end = rule.reader.left.index("}")
        *values, _ = rule.reader.take(end + 1)
        raws = [selector.type.parse(each) for each in values if each != ","]
        name, number = rule.sets.anonymous(selector, raws)
        rule.found.append(expressions.lookup(0, name, number, inverted=inverted))
    elif selector.type.bits:
        _match_bits(rule, selector, inverted=inverted)
    else:
        _compare(rule, selector, operator)


def _match_bits(rule: Rule, selector: Selector, *, inverted: bool) -> None:
    zero = bytes(selector.type.width)
    raw = either(zero, rule.reader.value(selector))
    while rule.reader.next_is(","):
        raw = either(raw, rule.reader.value(selector))
    operator = expressions.EQ if inverted else expressions.NEQ
    rule.found.append(expressions.bitwise(0, raw, zero))
    rule.found.append(expressions.compare(0, operator, zero))


def _compare(rule: Rule, selector: Selector, operator: int) -> None:
    first, dash, last = rule.reader.next.partition("-")
    if dash and first.isdigit() and last.isdigit():
        rule.reader.take(1)
        for each, bound in ((expressions.GTE, first), (expressions.LTE, last)):
            rule.found.append(expressions.compare(0, each, selector.type.parse(bound)))
        return
    raw = rule.reader.value(selector)
    if len(raw) != selector.type.width and selector.type is not NAME:
        raise ValueError
    rule.found.append(expressions.compare(0, operator, raw))
