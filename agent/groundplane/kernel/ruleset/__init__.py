"""Compiler from nft's language to nf_tables messages, so that the agent does not need nft(8).

What the agent sends and what a person loads with `nft -f` come from the same text. The compiler
supports the part of the language that our templates use, with one difference: a rule must contain
all its matches. nft adds those that a match depends on (`meta l4proto tcp` before `tcp flags`);
this compiler does not.

syntax        text to declarations: tables, sets, chains, elements
selectors     what a rule reads from a packet, and its types
expressions   nf_tables expressions as bytes
rules         the text of a rule to expressions
sets          sets and their elements to messages
compiler      a whole ruleset to one list of messages
load          sends them
"""

from groundplane.kernel.ruleset.compiler import compile_ruleset
from groundplane.kernel.ruleset.syntax import RulesetError

__all__ = ["RulesetError", "compile_ruleset"]
