"""From the documents of a file to objects, or to all their errors."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from groundplane.documents.catalog import CLUSTER_SCOPED, DocumentKey, Object
from groundplane.documents.path import below
from groundplane.errors import Fault, Origin
from groundplane.hint import MAX_WORK, Work
from groundplane.load.convert import MOST, Asked, convert
from groundplane.load.documents import Findings, Item, content_of, items_in
from groundplane.load.ignore import HINT
from groundplane.load.kinds import KINDS, name_of, pod_templates, refusal

Placed = tuple[Object, Origin]
ReadFile = Callable[[Path, Findings], Iterable[Placed]]
"""Yield the objects of a file; add its errors and notices to the findings."""

# Part of the work for hints: finding a scalar reads the document again.
_LOOK_UP: Final = MAX_WORK // 1000


def read_file(path: Path, findings: Findings) -> Iterator[Placed]:
    """Yield the objects of the file *path*; a `ReadFile`."""
    content = content_of(path)
    if isinstance(content, Fault):
        findings.faults.append(content)
    else:
        yield from objects_in(path, content, findings)


def objects_in(path: Path, content: bytes, findings: Findings) -> Iterator[Placed]:
    """Yield the objects in *content*, the bytes of the file *path*."""
    for item in items_in(path, content, findings):
        if findings.full:
            return
        document = _read(item, findings)
        if document is not None:
            yield document, item.origin


def _read(item: Item, findings: Findings) -> Object | None:
    """Return the object of *item*, or None; its errors are added to *findings*."""
    origin, value, text = item
    if value is None:
        return None
    if not isinstance(value, dict):
        message = f"a document is a mapping with apiVersion and kind; {HINT}"
        findings.faults.append(Fault(origin, "", "", message))
        return None
    api, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(api, str) or not isinstance(kind, str):
        message = f"apiVersion and kind are required, as text; {HINT}"
        findings.faults.append(Fault(origin, "", "", message))
        return None
    type_ = KINDS.get((api, kind))
    if type_ is None:
        if refused := refusal(api, kind, value.get("spec")):
            subject = _subject(kind, value.get("metadata"))
            findings.faults.append(Fault(origin, subject, *refused))
        else:
            findings.skipped[name_of(api, kind)] += 1
            findings.pod_templates += pod_templates(value)
        return None
    try:
        found = msgspec.convert(value, type_)
        if found.metadata.namespace:
            return found
    except msgspec.ValidationError:
        pass
    asked = Asked(partial(_written, text, origin.within, findings.work), findings.work)
    document = convert(_in_default_namespace(value), type_, asked)
    if isinstance(document, list):
        subject = _subject(kind, value.get("metadata"))
        findings.faults += [Fault(origin, subject, path, message) for path, message in document]
        findings.cut |= len(document) == MOST
        return None
    return document


def _in_default_namespace(value: dict[str, Any]) -> dict[str, Any]:
    """Return the document *value* without an empty namespace, which also means `default`."""
    meta = value.get("metadata")
    if not isinstance(meta, dict) or meta.get("namespace") != "":
        return value
    named = {name: each for name, each in meta.items() if name != "namespace"}
    return {**value, "metadata": named}


def _written(text: str, within: str, work: Work, path: str) -> str:
    """Return the text of the scalar at *path* in the document *text*; "" if it is not a scalar."""
    if not work.take(_LOOK_UP):
        return ""
    from groundplane.load import positions  # PyYAML: imported only after an error

    return positions.scalar_at(text, below(within, path))


def _subject(kind: str, meta: object) -> str:
    """Return the subject of errors for a document that is not an object yet: its key, if known."""
    names = meta if isinstance(meta, dict) else {}
    if not names.get("name"):
        return kind
    namespace = "" if kind in CLUSTER_SCOPED else names.get("namespace") or "default"
    return str(DocumentKey(kind, str(namespace), str(names["name"])))
