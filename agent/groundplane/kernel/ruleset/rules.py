"""Compiles the text of a rule to nf_tables expressions, with registers as nft assigns them."""

from groundplane.kernel.ruleset.matches import match
from groundplane.kernel.ruleset.rule import Rule, Sets
from groundplane.kernel.ruleset.statements import STATEMENTS
from groundplane.kernel.ruleset.syntax import Line


def compile_rule(line: Line, sets: Sets) -> list[bytes]:
    """Return the expressions of the rule in *line*. Raises RulesetError."""
    rule = Rule(line.words, sets)
    try:
        while not rule.reader.has_ended:
            found = rule.reader.phrase(STATEMENTS)
            if found is None:
                match(rule)
            else:
                words, statement = found
                rule.found += statement(rule, words)
    except (ValueError, KeyError, IndexError):
        left = " ".join(rule.reader.left[:3]) or "its end"
        raise line.error(f"not understood before {left}") from None
    return rule.found
