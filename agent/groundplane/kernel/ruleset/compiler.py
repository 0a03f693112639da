"""A ruleset as messages of one transaction: each table, its chains and sets, then its rules."""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from groundplane.kernel.netlink import CREATE, attribute, nest, netfilter
from groundplane.kernel.ruleset import sets
from groundplane.kernel.ruleset.expressions import text, u32
from groundplane.kernel.ruleset.rule import Sets
from groundplane.kernel.ruleset.rules import compile_rule
from groundplane.kernel.ruleset.selectors import Selector
from groundplane.kernel.ruleset.sets import Declared
from groundplane.kernel.ruleset.syntax import (
    ChainDeclaration,
    ElementsDeclaration,
    Line,
    TableDeclaration,
    parse,
)
from groundplane.kernel.tables import FAMILIES, SUBSYSTEM, BatchMessage

_NEW_TABLE, _NEW_CHAIN, _NEW_RULE, _NEW_SET, _NEW_ELEMENTS = (
    SUBSYSTEM << 8 | command for command in (0, 3, 6, 9, 12)
)  # NFT_MSG_*
T = TypeVar("T")

_APPEND: Final = 0x800  # NLM_F_APPEND
_HOOKS: Final = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_PRIORITIES: Final = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "srcnat": 100}


def compile_ruleset(ruleset: str) -> list[BatchMessage]:
    """Return the messages that create *ruleset*; its tables must not exist. Raises RulesetError."""
    compiler = _Compiler()
    for declaration in parse(ruleset):
        if isinstance(declaration, TableDeclaration):
            compiler.table(declaration)
        else:
            compiler.elements(declaration)
    return compiler.messages


class _Compiler:
    """The messages so far, and the sets that they declare."""

    def __init__(self) -> None:
        self.messages: list[BatchMessage] = []
        self._sets: dict[tuple[str, str, str], Declared] = {}  # by family, table and name
        self._count = 0

    def table(self, table: TableDeclaration) -> None:
        where = f"{table.family} {table.name}"
        head = netfilter(FAMILIES[table.family]) + text(1, table.name)
        comment = b""
        if table.comment:  # nft's own encoding: type, length, value
            raw = table.comment.encode() + b"\0"
            comment = attribute(6, bytes((0, len(raw))) + raw)
        self._add(_NEW_TABLE, CREATE, head + comment, f"table {where}")
        for chain in table.chains:
            self._add(_NEW_CHAIN, CREATE, head + _chain(chain), f"chain {where} {chain.name}")
        for each in table.sets:
            self._count += 1
            found = _understood(each.line, partial(Declared.named, each, self._count))
            self._sets[table.family, table.name, each.name] = found
            self._add(_NEW_SET, CREATE, head + found.body, f"set {where} {each.name}")
            self._elements(head, found, each.line, each.elements, f"{where} {each.name}")
        named = Sets(
            has_port=lambda name: self._sets[table.family, table.name, name].has_port,
            anonymous=partial(self._anonymous, head, where),
        )
        for chain in table.chains:
            in_chain = head + text(2, chain.name)
            for line in chain.rules:
                body = in_chain + nest(4, *compile_rule(line, named))
                what = f"rule of {where} {chain.name}: {' '.join(line.words)}"
                self._add(_NEW_RULE, CREATE | _APPEND, body, what)

    def elements(self, added: ElementsDeclaration) -> None:
        where = f"{added.family} {added.table} {added.set}"
        found = self._sets.get((added.family, added.table, added.set))
        if found is None:
            raise added.line.error("elements of a set that is not declared before")
        head = netfilter(FAMILIES[added.family]) + text(1, added.table)
        self._elements(head, found, added.line, added.elements, where)

    def _add(self, kind: int, flags: int, body: bytes, what: str) -> None:
        self.messages.append(BatchMessage(kind, flags, body, what))

    def _elements(
        self, head: bytes, found: Declared, line: Line, written: list[tuple[str, ...]], where: str
    ) -> None:
        entries = _understood(line, partial(sets.elements, found, written))
        self._entries(head, found, entries, where)

    def _entries(self, head: bytes, found: Declared, entries: list[bytes], where: str) -> None:
        named = head + text(2, found.name) + u32(4, found.number)
        for body in sets.in_messages(entries, named.__add__):
            self._add(_NEW_ELEMENTS, CREATE, body, f"set elements of {where}")

    def _anonymous(
        self, head: bytes, where: str, selector: Selector, raws: list[bytes]
    ) -> tuple[str, int]:
        """Declare an anonymous set for a rule of the table *where*; return its name and number."""
        self._count += 1
        found = Declared.anonymous(selector, self._count, len(raws))
        self._add(_NEW_SET, CREATE, head + found.body, f"set of a rule of {where}")
        self._entries(head, found, sets.values(raws), f"a rule of {where}")
        return found.name, found.number


def _chain(chain: ChainDeclaration) -> bytes:
    """Return the attributes that make *chain*, without its table's name."""
    if chain.hook is None:
        return text(3, chain.name)
    where = chain.hook
    priority = _PRIORITIES.get(where.priority)
    number = int(where.priority) if priority is None else priority
    hook = nest(4, u32(1, _HOOKS[where.hook]), attribute(2, number.to_bytes(4, "big", signed=True)))
    return text(3, chain.name) + hook + text(7, where.type)


def _understood(line: Line, read: Callable[[], T]) -> T:
    """Return the result of *read*; RulesetError with *line* if it cannot parse the words."""
    try:
        return read()
    except (ValueError, KeyError, IndexError):
        raise line.error("not understood") from None
