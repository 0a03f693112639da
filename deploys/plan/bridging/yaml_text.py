"""YAML as text: where each part of a file stands, and the file without some parts.

A scalar is the text that its owner wrote. YAML 1.1 makes numbers, dates and booleans of some
texts; netplan does not, and an owner's file must not change by being read and written.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from groundplane_deploys.plan.bridging.errors import BridgeError

_BREAKS: Final = "\r\n\x85\u2028\u2029"
_REST_OF_LINE: Final = re.compile(rf"[ \t]*(?:#[^{_BREAKS}]*)?(?P<end>\r\n|[{_BREAKS}]|\Z)")
_COMMA: Final = re.compile(rf"(?:\s|#[^{_BREAKS}]*+)*+,")
_BYTE_ORDER_MARK: Final = "\ufeff"
# libyaml reads netplan's files, too; PyYAML's own parser refuses some more tabs.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Kind = Literal["scalar", "alias", "sequence", "mapping"]
Span = tuple[int, int]
Edit = tuple[int, int, str]  # a span, and the text in its place
Entry = tuple["Node", "Node"]


@dataclass(frozen=True, eq=False)
class Node:
    """A part of a file, from character *start* to *end*, without comments around it.

    *text* is that of a scalar, or the name that an alias refers to. The *children* of a mapping
    are its keys and values in turn.
    """

    kind: Kind
    start: int
    end: int
    line: int
    text: str = ""
    anchor: str = ""
    flow: bool = False
    children: tuple["Node", ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(zip(self.children[::2], self.children[1::2], strict=True))


class Document:
    """A file at *path* with one YAML document or none; BridgeError names the line of a fault."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text.removeprefix(_BYTE_ORDER_MARK)
        self._head = text.removesuffix(self.text)
        root = _root(path, self.text)
        self.root = None if root is None or _is_nothing(root) else root
        self._nodes = [*_walk(self.root)] if self.root else []
        self._anchors = {node.anchor: node for node in self._nodes if node.anchor}

    def fault(self, node: Node, reason: str) -> BridgeError:
        return BridgeError(f"{self.path}:{node.line}: {reason}")

    def entries(self, node: Node, name: str) -> list[tuple[str, Node]]:
        """Return the keys and values of *node*, which is called *name*; a fault for no mapping."""
        found = self._resolved(node)
        if found.kind != "mapping":
            raise self.fault(node, f"{name} has to be a mapping")
        return [(self.scalar(key), value) for key, value in found.entries]

    def scalar(self, node: Node | None) -> str:
        """Return the text of a scalar, "" where *node* is none."""
        return self._resolved(node).text if node else ""

    def without(self, cuts: Iterable[tuple[Node, frozenset[str]]]) -> str:
        """Return the text without the entries of each mapping that have one of these keys.

        All other characters stay. Where the rest would mean something else, that is a fault.
        """
        edits: list[Edit] = []
        gone: list[Entry] = []
        for node, words in cuts:
            mapping = self._resolved(node)
            removed = [each for each in mapping.entries if self.scalar(each[0]) in words]
            edit = self._flow if mapping.flow else self._block
            edits += edit(mapping, removed)
            gone += removed
        if not gone:
            return self._head + self.text
        self._refuse_shared(gone)
        text = self.text
        for start, end, instead in sorted({*edits}, reverse=True):
            text = text[:start] + instead + text[end:]
        self._refuse_other_meaning(text, gone)
        return self._head + text

    def _resolved(self, node: Node) -> Node:
        return self._anchors[node.text] if node.kind == "alias" else node

    def _flow(self, mapping: Node, removed: list[Entry]) -> Iterator[Edit]:
        """Yield what goes with the *removed* entries of {}: each with the comma after it."""
        kept = [entry for entry in mapping.entries if entry not in removed]
        tail = kept[-1][1].end if kept else mapping.start
        spans = [(key.start, self._comma(value) or value.end) for key, value in removed]
        if kept and spans and spans[-1][0] > tail and not self._comma(removed[-1][1]):
            comma = self._comma(kept[-1][1]) or tail
            yield comma - 1, comma, ""  # no entry stands after it any more
        for span in _joined(self.text, spans):
            lines = _whole_lines(self.text, span)
            yield *(lines or _with_blanks(self.text, span, at_end=span[0] > tail)), ""

    def _comma(self, value: Node) -> int | None:
        """Return where the comma after *value* ends."""
        found = _COMMA.match(self.text, value.end)
        return found.end() if found else None

    def _block(self, mapping: Node, removed: list[Entry]) -> Iterator[Edit]:
        """Yield the lines of the *removed* entries; a mapping without any other becomes {}."""
        everything = len(removed) == len(mapping.entries)
        for at, (key, value) in enumerate(removed):
            lines = _whole_lines(self.text, (key.start, value.end))
            if lines is None:
                raise self._not_alone(key)
            if everything and at == 0:
                rest = _REST_OF_LINE.match(self.text, value.end)
                yield key.start, rest.start("end") if rest else value.end, "{}"
            else:
                yield *lines, ""

    def _refuse_shared(self, gone: list[Entry]) -> None:
        spans = [(key.start, value.end) for key, value in gone]
        for alias in (node for node in self._nodes if node.kind == "alias"):
            shared = self._anchors[alias.text]
            if any(start <= alias.start < end for start, end in spans):
                continue
            for key, value in gone:
                if key.start < shared.end and shared.start < value.end:
                    raise self.fault(
                        key,
                        f"{key.text} has to go from here, but line {alias.line} uses it too, by "
                        f"the alias *{alias.text}: write it out there",
                    )

    def _refuse_other_meaning(self, text: str, gone: list[Entry]) -> None:
        dropped = {node for entry in gone for node in entry}
        try:
            left = _root(self.path, text)
        except BridgeError:
            raise self._not_alone(gone[0][0]) from None
        if left is None or self.root is None or _content(left) != _content(self.root, dropped):
            raise self._not_alone(gone[0][0])

    def _not_alone(self, key: Node) -> BridgeError:
        return self.fault(
            key, f"{key.text} has to go from here, and cannot: write it on lines of its own"
        )


def _root(path: str, text: str) -> Node | None:
    if refused := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, refused.start()) + 1
        raise BridgeError(f"{path}:{line}: a character is not UTF-8, or YAML does not allow it")
    try:
        yaml.compose(text, Loader=_LOADER)  # knows more faults than the parser alone
        events = iter([*yaml.parse(text, Loader=_LOADER)])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise BridgeError(f"{place}: {reason}") from error
    except yaml.YAMLError as error:
        raise BridgeError(f"{path}: {error}") from error
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            return _node(next(events), events, text)
    return None


def _node(event: Any, events: Iterator[Any], text: str) -> Node:
    """Return the node that begins with *event*, which has its marks: by its type it may have none."""
    start, end, line = event.start_mark.index, event.end_mark.index, event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", start, end, line, text=event.anchor or "")
    anchor = event.anchor or ""
    if isinstance(event, yaml.ScalarEvent):
        # A block scalar ends after its line.
        end = start + len(text[start:end].rstrip())
        return Node("scalar", start, end, line, text=event.value, anchor=anchor)
    children: list[Node] = []
    while not isinstance(following := next(events), yaml.CollectionEndEvent):
        children.append(_node(following, events, text))
    flow = bool(event.flow_style)
    # A block ends where the next token begins, after comments, which belong to nobody.
    mark = following.end_mark if flow else None
    end = mark.index if mark else children[-1].end
    kind: Kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
    return Node(kind, start, end, line, anchor=anchor, flow=flow, children=tuple(children))


def _is_nothing(node: Node) -> bool:
    return node.kind == "scalar" and node.start == node.end


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _content(node: Node, dropped: "set[Node] | None" = None) -> object:
    """Return what *node* says, without where it stands, and without the nodes *dropped*."""
    children = [_content(each, dropped) for each in node.children if each not in (dropped or ())]
    return node.kind, node.text, node.anchor, children


def _joined(text: str, spans: list[Span]) -> list[Span]:
    """Return *spans* in order, those with only blanks between them as one."""
    found: list[Span] = []
    for start, end in spans:
        if found and not text[found[-1][1] : start].strip(" \t"):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _with_blanks(text: str, span: Span, *, at_end: bool) -> Span:
    """Return *span* with the blanks that would be left over: before it at the end of {}."""
    start, end = span
    before = text[_line_start(text, start) : start]
    if at_end and before.strip(" \t"):
        return start - (len(before) - len(before.rstrip(" \t"))), end
    blanks = len(text[end:]) - len(text[end:].lstrip(" \t"))
    return start, end if at_end else end + blanks


def _whole_lines(text: str, span: Span) -> Span | None:
    """Return the lines of *span* with a comment after it, None where they have something else."""
    start, end = span
    begin = _line_start(text, start)
    rest = _REST_OF_LINE.match(text, end)
    return (begin, rest.end()) if rest and not text[begin:start].strip(" \t") else None


def _line_start(text: str, at: int) -> int:
    return max(text.rfind(each, 0, at) for each in _BREAKS) + 1
