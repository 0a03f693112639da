"""The nftables ruleset of a node, from the JSON of nft (libnftables-json(5)). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from groundplane.kernel import owned

Expression = Mapping[str, Any]  # one expression or statement of a rule: its kind, and its content
ChainKey = tuple[str, str, str]  # family, table, name

IP_FAMILIES: Final = {"ip": ("IPv4",), "ip6": ("IPv6",), "inet": ("IPv4", "IPv6")}


class ListedRule(NamedTuple):
    """A rule: its expressions and statements from left to right."""

    chain: ChainKey
    expressions: tuple[Expression, ...]
    handle: int = 0


class ListedChain(NamedTuple):
    """A chain; without *hook* it is only reached from other chains. *policy* is accept or drop."""

    key: ChainKey
    kind: str = ""
    hook: str = ""
    priority: int = 0
    policy: str = "accept"

    @property
    def families(self) -> tuple[str, ...]:
        """The IP families whose packets it sees."""
        return IP_FAMILIES.get(self.key[0], ())

    def __str__(self) -> str:
        family, table, name = self.key
        return f"table {family} {table}, chain {name}"


class Ruleset(NamedTuple):
    """Chains and rules of all tables; *elements* are those of named sets and maps, where known."""

    chains: Mapping[ChainKey, ListedChain]
    rules: Mapping[ChainKey, tuple[ListedRule, ...]]
    elements: Mapping[ChainKey, tuple[Any, ...]]
    tables: frozenset[tuple[str, str]]

    def foreign(self) -> Iterable[ListedChain]:
        """Yield the chains that are not ours."""
        return (chain for chain in self.chains.values() if not owned.is_our_table(chain.key[1]))

    def foreign_mangles(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield foreign rules' `mangle` statements (libnftables-json(5)), and their places."""
        for chain in self.foreign():
            for rule in self.rules.get(chain.key, ()):
                for expression in rule.expressions:
                    mangle = expression.get("mangle")
                    if isinstance(mangle, dict):
                        yield str(chain), mangle

    def base_chains(self, kind: str, *hooks: str) -> list[ListedChain]:
        """Return the foreign chains of *kind* at one of *hooks* that see IP packets."""
        return [
            chain
            for chain in self.foreign()
            if chain.kind == kind and chain.hook in hooks and chain.families
        ]

    def names(self, family: str, table: str) -> set[str]:
        """Return the names of the chains of a table."""
        return {key[2] for key in self.chains if key[:2] == (family, table)}


def parse(objects: Iterable[Mapping[str, Any]]) -> Ruleset:
    """Return the ruleset of *objects*; anything but chains, rules, sets and maps is left out."""
    chains: dict[ChainKey, ListedChain] = {}
    rules: dict[ChainKey, list[ListedRule]] = {}
    elements: dict[ChainKey, tuple[Any, ...]] = {}
    tables = set()
    for each in objects:
        for what, content in each.items():
            if what == "table":
                tables.add((content["family"], content["name"]))
            elif what == "chain":
                chain = _chain(content)
                chains[chain.key] = chain
            elif what == "rule":
                key = (content["family"], content["table"], content["chain"])
                rules.setdefault(key, []).append(
                    ListedRule(key, tuple(content.get("expr", ())), content.get("handle", 0))
                )
            elif what in ("set", "map") and "elem" in content:
                key = (content["family"], content["table"], content["name"])
                elements[key] = tuple(content["elem"])
    listed = {key: tuple(found) for key, found in rules.items()}
    return Ruleset(chains, listed, elements, frozenset(tables))


def _chain(content: Mapping[str, Any]) -> ListedChain:
    return ListedChain(
        (content["family"], content["table"], content["name"]),
        content.get("type", ""),
        content.get("hook", ""),
        content.get("prio", 0),
        content.get("policy", "accept"),
    )
