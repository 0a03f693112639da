"""The text of a rule to nf_tables expressions, in registers as nft assigns them."""

from groundplane.kernel.ruleset.matches import match
from groundplane.kernel.ruleset.rule import Rule, Sets
from groundplane.kernel.ruleset.statements import LONGEST, STATEMENTS
from groundplane.kernel.ruleset.syntax import Line


def compile_rule(line: Line, sets: Sets) -> list[bytes]:
    """Return the expressions of the rule in *line*. Raises RulesetError."""
    rule = Rule(line.words, sets)
    try:
        while rule.reader.words:
            _read_next(rule)
    except (ValueError, KeyError, IndexError):
        left = " ".join(rule.reader.words[:3]) or "its end"
        raise line.error(f"not understood before {left}") from None
    return rule.found


def _read_next(rule: Rule) -> None:
    """Read one statement or match."""
    for length in range(min(LONGEST, len(rule.reader.words)), 0, -1):
        words = tuple(rule.reader.words[:length])
        statement = STATEMENTS.get(words)
        if statement is not None:
            rule.reader.take(length)
            rule.found += statement(rule, words)
            return
    match(rule)
