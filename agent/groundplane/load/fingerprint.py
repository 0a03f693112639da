"""Fingerprint of a source: shows whether the source has changed, without reading its files."""

from pathlib import Path

from groundplane.errors import SourceError
from groundplane.load.tree import tree_of

SourceFingerprint = tuple[tuple[str, int, int, int], ...]


def fingerprint_of(source: Path) -> SourceFingerprint:
    """Return name, inode, size and time of change of every file of *source*; () if none."""
    try:
        tree = tree_of(source)
        files = [*tree.read, *tree.ignore_files, *source.glob("*.lock")]
        stats = [(str(path), path.stat()) for path in files]
    except (OSError, SourceError):
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
