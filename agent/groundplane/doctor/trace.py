"""Follow a packet through a base chain of the ruleset. Pure.

If a match is unknown (`packet.matches` is None), both branches are followed, and their outcomes are
marked as uncertain.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from groundplane.diagnosis.packet import KnownPacket, looked_up, matches
from groundplane.diagnosis.ruleset import ChainKey, Expression, ListedChain, ListedRule, Ruleset

RuleVerdict = Literal["accept", "drop", "translate", "notrack"]
Step = RuleVerdict | Literal["return", "jump", "goto"]

_DEEPEST: Final = 16  # nested jumps, as in the kernel (NFT_JUMP_STACK_SIZE)
# Statements after which the rest of the rule is reached in any case.
_PASSING: Final = {
    "counter", "log", "mangle", "comment", "meter", "set", "map", "ct helper", "ct timeout",
    "ct expectation", "last", "dup", "flow", "secmark", "synproxy", "tproxy", "continue",
}  # fmt: skip
_VERDICTS: Final[Mapping[str, Step]] = {
    "accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "jump": "jump",
    "goto": "goto", "dnat": "translate", "redirect": "translate", "snat": "translate",
    "masquerade": "translate", "notrack": "notrack",
}  # fmt: skip
_TARGETS: Final[Mapping[str, Step]] = {  # of iptables
    "DNAT": "translate", "REDIRECT": "translate", "SNAT": "translate", "MASQUERADE": "translate",
    "REJECT": "drop", "NOTRACK": "notrack",
}  # fmt: skip


class Traced(NamedTuple):
    """The effect of *rule* on the packet; *rule* is None for the chain's policy."""

    verdict: RuleVerdict
    rule: ListedRule | None
    certain: bool


# Where a walk through a chain ends: the packet's way is over, or it goes on in the calling chain,
# or that cannot be told.
_End = Literal["over", "returned"]
_Walk = Generator[Traced, None, _End]


def outcomes(ruleset: Ruleset, chain: ListedChain, packet: KnownPacket) -> Iterator[Traced]:
    """Yield the possible outcomes of *packet* in the base chain *chain*, in rule order.

    The last is the policy, unless a rule certainly decides before.
    """
    end = yield from _Tracer(ruleset, packet).walk(chain.key, certain=True, depth=0)
    if end == "returned":
        yield Traced("drop" if chain.policy == "drop" else "accept", None, certain=True)


def final_verdict(ways: Iterable[Traced]) -> Traced:
    """Return the first of a packet's `outcomes` that is certain and decides its fate."""
    return next(found for found in ways if found.certain and found.verdict != "notrack")


class _Tracer:
    def __init__(self, ruleset: Ruleset, packet: KnownPacket) -> None:
        self._ruleset, self._packet = ruleset, packet
        self._elements: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {}
        for (family, table, name), listed in ruleset.elements.items():
            self._elements.setdefault((family, table), {})[name] = listed

    def walk(self, key: ChainKey, *, certain: bool, depth: int) -> _Walk:
        for rule in self._ruleset.rules.get(key, ()):
            end = yield from self._rule(rule, certain=certain, depth=depth)
            if end is not None:
                return end
        return "returned"

    def _rule(
        self, rule: ListedRule, *, certain: bool, depth: int
    ) -> Generator[Traced, None, _End | None]:
        """Follow one rule; return None if the packet, as far as known, continues to the next."""
        elements = self._elements.get(rule.chain[:2], {})
        holds = True  # the rule matches for certain, as far as it is read
        for expression in rule.expressions:
            ((kind, content),) = list(expression.items())[:1]
            if kind == "match":
                fits = matches(self._packet, content, elements)
                if fits is False:
                    return None
                holds = holds and bool(fits)
            elif kind == "vmap" or _verdict(expression):
                sure = certain and holds
                end = yield from self._decide(rule, expression, certain=sure, depth=depth)
                if end is not None and holds:
                    return end
            elif kind not in _PASSING:  # a limit, a match of iptables, something newer
                holds = False
        return None

    def _decide(
        self, rule: ListedRule, expression: Expression, *, certain: bool, depth: int
    ) -> Generator[Traced, None, _End | None]:
        """Follow a verdict or a verdict map; None if the packet continues, certainly or not."""
        elements = self._elements.get(rule.chain[:2], {})
        choices: list[tuple[bool | None, Expression]] = [(True, expression)]
        if "vmap" in expression:
            choices = looked_up(self._packet, expression["vmap"], elements)
        for fits, verdict in choices:
            end = yield from self._obey(rule, verdict, certain=certain and bool(fits), depth=depth)
            if end is not None and fits:
                return end
        return None

    def _obey(
        self, rule: ListedRule, expression: Expression, *, certain: bool, depth: int
    ) -> Generator[Traced, None, _End | None]:
        verdict = _verdict(expression)
        if verdict == "return":
            return "returned"
        if verdict == "jump" or verdict == "goto":
            if depth == _DEEPEST:
                return None
            target = (*rule.chain[:2], expression[verdict]["target"])
            end = yield from self.walk(target, certain=certain, depth=depth + 1)
            return end if verdict == "goto" or end == "over" else None
        if verdict is None:  # an element of a verdict map that says continue
            return None
        yield Traced(verdict, rule, certain)
        return None if verdict == "notrack" else "over"


def _verdict(expression: Expression) -> Step | None:
    """Return what *expression* does with a packet, None when it is not a verdict."""
    ((kind, content),) = list(expression.items())[:1]
    if kind == "xt":
        return _TARGETS.get(content.get("name", "")) if isinstance(content, Mapping) else None
    return _VERDICTS.get(kind)
