"""The ruleset as text: the framework of all rules, and elements in nft's syntax. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from groundplane.dataplanes.nftables.maps import BY_CODE, Element, map_of
from groundplane.dataplanes.nftables.rules import DIGEST, Rules
from groundplane.kernel import owned
from groundplane.kernel.tables import Table
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase

TABLES: Final = (
    *(Table(family, owned.TABLE) for family in ("ip", "ip6", "bridge")),
    *(Table(family, owned.SERVICES_TABLE) for family in ("ip", "ip6")),
)
"""All tables that rules may have: a change of the framework replaces all of them."""
NAMES: Final[dict[Family, str]] = {"IPv4": "ip", "IPv6": "ip6"}


@lru_cache(maxsize=4)
def framework(rules: Sequence[Rules], base: NodeBase) -> str:
    """Return the tables, maps, chains and rules that *base* needs, without an element.

    A restarted agent recognizes its tables by the digest in each table's comment.
    """
    text = _framework(rules, base)
    return text.replace(DIGEST, _digest(text))


@lru_cache(maxsize=4)
def framework_digest(rules: Sequence[Rules], base: NodeBase) -> str:
    """Return the digest that `framework` writes into the tables of *base*."""
    return _digest(_framework(rules, base))


def _framework(rules: Iterable[Rules], base: NodeBase) -> str:
    return "".join(each.text(base) for each in rules)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tables_of(rules: Iterable[Rules], base: NodeBase) -> list[Table]:
    """Return the tables that *base* needs."""
    return [table for each in rules for table in each.tables(base)]


def removal() -> str:
    """Return commands that remove our tables, whether they exist or not."""
    return "".join(f"add table {f} {name}\ndelete table {f} {name}\n" for f, name in TABLES)


def ruleset(rules: Sequence[Rules], base: NodeBase, elements: Mapping[Element, bytes]) -> str:
    """Return a file that replaces our tables as a whole: `nft -f` loads it on its own."""
    return removal() + framework(rules, base) + "".join(_additions(elements))


def _additions(elements: Mapping[Element, bytes]) -> Iterator[str]:
    by_map: dict[int, list[str]] = defaultdict(list)
    for element, data in elements.items():
        by_map[element[0]].append(map_of(element).element_text(element, data))
    for code, texts in sorted(by_map.items()):
        yield _addition(code, sorted(texts))


def _addition(code: int, texts: list[str]) -> str:
    map_, listed = BY_CODE[code], ",\n  ".join(texts)
    return f"add element {map_.table} {map_.name} {{\n  {listed}\n}}\n"
