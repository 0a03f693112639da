"""Paths in a document, as used in errors: `spec.ports[0].name`, `metadata.labels["a.b/c"]`."""

import re
from collections.abc import Iterator

_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')
_PLAIN = re.compile(r"[^.\[\]\"]+\Z")


def join(path: str, step: str | int) -> str:
    """Return *path* one *step* deeper: a field, a key that needs quotes, or an index."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not _PLAIN.match(step):
        quoted = step.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{step}" if path else step


def below(within: str, path: str) -> str:
    """Return *path* as seen from where the path *within* begins; either may be ""."""
    return ".".join(part for part in (within, path) if part)


def steps(path: str) -> Iterator[str | int]:
    """Yield the steps of *path*: the inverse of `join`."""
    for match in _STEP.finditer(path):
        name, index, quoted = match.groups()
        if index is not None:
            yield int(index)
        else:
            yield name if name is not None else re.sub(r"\\(.)", r"\1", quoted)
