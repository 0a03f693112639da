"""Parsing the files of a source into the values of its documents."""

import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from groundplane.documents.catalog import PodTemplate
from groundplane.documents.path import join
from groundplane.errors import MAX_FAULTS, Fault, Origin
from groundplane.hint import Work
from groundplane.load import json, yaml
from groundplane.load.cost import Room, has_flat_blocks, room_in
from groundplane.load.kinds import is_skipped, name_of
from groundplane.load.list_lines import item_lines
from groundplane.processes.limits import memory_limit

MAX_FILE_BYTES: Final = 64 << 20
_ENOUGH: Final = 100 * MAX_FAULTS  # nobody reads more errors than this, and more would fill memory


@dataclass
class Findings:
    """Errors and notices collected while reading a source."""

    faults: list[Fault] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # documents by kind
    pod_templates: list[PodTemplate] = field(default_factory=list)
    room: Room = field(default_factory=lambda: room_in(memory_limit()))
    work: Work = field(default_factory=Work)  # for hints
    cut: bool = False  # a document had more errors than are kept per document

    @property
    def full(self) -> bool:
        """Whether there are so many errors that reading stops."""
        return len(self.faults) > _ENOUGH


class Item(NamedTuple):
    """The *value* of a document, or of an item of a List; *text* is the text of the document."""

    origin: Origin
    value: object
    text: str


def text_of(path: Path) -> str | Fault:
    """Return the text of the file *path*, or the reason why it cannot be read."""
    content = content_of(path)
    return content if isinstance(content, Fault) else _text(path, content)


def content_of(path: Path) -> bytes | Fault:
    """Return the bytes of the file *path*, or the reason why they cannot be read."""
    start = Origin(str(path), 1)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return Fault(start, "", "", "no regular file")
        if found.st_size > MAX_FILE_BYTES:
            limit = f"{MAX_FILE_BYTES >> 20} MiB"
            what = f"the file has {found.st_size} bytes; a file has at most {limit}"
            return Fault(start, "", "", what)
        return path.read_bytes()
    except OSError as error:
        return Fault(start, "", "", f"cannot be read: {error.strerror}")


def _text(path: Path, content: bytes) -> str | Fault:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{content[error.start]:02x}"
        return Fault(Origin(str(path), line), "", "", message)


def items_in(path: Path, content: bytes, findings: Findings) -> Iterator[Item]:
    """Yield every document in *content*, the bytes of the file *path*; a List's items, not the List."""
    text = _text(path, content)
    if isinstance(text, Fault):
        findings.faults.append(text)
        return
    if path.suffix == ".json" and '"apiVersion"' not in text:
        findings.notices.append(foreign_notice(path))
        return
    try:
        found = _json_documents(path, text)
    except json.JsonError as error:
        origin = Origin(str(path), error.line)
        findings.faults.append(Fault(origin, "", "", f"not JSON: {error}"))
        return
    for document in found or _yaml_documents(path, text, findings):
        if _may_be_list(document.value):
            yield from _flat(document, findings)
        else:
            yield document


def foreign_notice(path: Path) -> str:
    return f"{path} is not read: it holds no Kubernetes document"


def _json_documents(path: Path, text: str) -> list[Item]:
    """Return the documents of *text* if it is JSON; JsonError if only the file name says so."""
    if path.suffix != ".json" and not text.startswith("{"):
        return []
    try:
        found = json.documents(text)
    except json.JsonError:
        if path.suffix == ".json":
            raise
        return []
    return [Item(Origin(str(path), line), value, body) for (line, body), value in found]


def _yaml_documents(path: Path, text: str, findings: Findings) -> Iterator[Item]:
    is_flat = has_flat_blocks(text)
    for line, body in yaml.split(text):
        if findings.full:
            return
        origin = Origin(str(path), line)
        try:
            value = yaml.parse(body, line, findings.room, is_flat=is_flat)
            yield Item(origin, value, body)
        except yaml.YamlError as error:
            if (header := _header(body, error)) and is_skipped(*header):
                findings.skipped[name_of(*header)] += 1
            else:
                findings.faults += _syntax_faults(origin, body, error)


def _header(body: str, error: yaml.YamlError) -> tuple[str, str] | None:
    """Return apiVersion and kind of a document whose only error is a duplicate key."""
    from groundplane.load import positions  # PyYAML: imported only after an error

    found = positions.duplicate_keys(body) if "duplicate" in str(error) else []
    if not found or any(not where for _, where, _ in found):
        return None
    return positions.scalar_at(body, "apiVersion"), positions.scalar_at(body, "kind")


def texts_of(path: Path) -> dict[int, str]:
    """Return the text of each document of *path*, keyed by its first line."""
    text = text_of(path)
    if isinstance(text, Fault):
        return {}
    with suppress(json.JsonError):
        if found := _json_documents(path, text):
            return {item.origin.line: item.text for item in found}
    return dict(yaml.split(text))


def _may_be_list(value: object) -> bool:
    return isinstance(value, dict) and "items" in value


def _flat(item: Item, findings: Findings) -> Iterator[Item]:
    """Yield *item*, or its items if it is a List or a typed list, as kubectl prints it."""
    value = item.value
    if not isinstance(value, dict):
        yield item
        return
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in value:
        yield item
        return
    items = value["items"]
    if not isinstance(items, list | None):
        findings.faults.append(Fault(item.origin, kind, "items", "expected a list"))
        return
    items = items or []
    lines = item_lines(item.text, len(items)) if not item.origin.within else ()
    for index, each in enumerate(items):
        within = join(join(item.origin.within, "items"), index)
        at = item.origin.line + lines[index] if lines else 0
        found = item._replace(origin=item.origin._replace(within=within, item_line=at), value=each)
        yield from _flat(found._replace(value=_typed(each, value)), findings)


def _typed(item: Any, holder: dict[str, Any]) -> Any:
    """Return *item*; if it has no kind, add the kind from its typed list."""
    kind = holder["kind"].removesuffix("List")
    if not kind or not isinstance(item, dict):
        return item
    return {"apiVersion": holder.get("apiVersion"), "kind": kind, **item}


def _syntax_faults(origin: Origin, body: str, error: yaml.YamlError) -> list[Fault]:
    from groundplane.load import positions  # PyYAML: imported only after an error

    duplicates = positions.duplicate_keys(body) if "duplicate" in str(error) else []
    for below, where, key in duplicates:
        if not where and key in ("apiVersion", "kind"):
            message = 'a second document begins here: write "---" in a line before it'
            return [Fault(origin._replace(line=origin.line + below), "", "", message)]
    at = error.line or origin.line + positions.key_that_is_none(body)
    return [
        Fault(origin._replace(line=origin.line + below), "", where, f'duplicate key "{key}"')
        for below, where, key in duplicates
    ] or [Fault(origin._replace(line=at), "", "", f"not YAML: {error}")]
