"""Compiles a ruleset, written in nft's language, to nf_tables messages: the agent needs no nft(8).

What the agent sends and what a person loads with `nft -f` come from the same text. The part of the
language is what our templates use, and one rule of it differs: a rule says all its matches. nft adds
what a match depends on (`meta l4proto tcp` before `tcp flags`); here the text has to.

syntax        text to declarations: tables, sets, chains, elements
selectors     what a rule reads from a packet, and the types of that
expressions   nf_tables expressions as bytes
rules         the text of a rule to expressions
sets          sets and their elements to messages
compiler      all of it to one list of messages
load          sends them
"""

from groundplane.kernel.ruleset.compiler import compile_ruleset
from groundplane.kernel.ruleset.syntax import RulesetError

__all__ = ["RulesetError", "compile_ruleset"]
