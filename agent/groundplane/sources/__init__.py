"""Sources of a site: a local directory, a repository on a server, a snapshot on a web server.

A source is polled repeatedly. It returns its current content, with a fingerprint that shows whether
the content has changed; other packages compile and use it.
"""

from pathlib import Path

from groundplane.sources.content import Content, Source
from groundplane.sources.directory import DirectorySource
from groundplane.sources.git import GitSource
from groundplane.sources.https import SnapshotSource
from groundplane.sources.trust import NOBODY, Trust
from groundplane.sources.url import GitUrl, SnapshotUrl, parse
from groundplane.sources.waits import WAITS, Waits

__all__ = ["Content", "Source", "Trust", "source_of"]


def source_of(url: str, cache: Path, trust: Trust = NOBODY, waits: Waits = WAITS) -> Source:
    """Return the source *url*, which may keep what it fetched in *cache* and is told whom to *trust*.

    SourceError when *url* is none that is known, or *trust* lacks what it needs.
    """
    match parse(url):
        case GitUrl() as found:
            return GitSource(found, cache, trust, waits)
        case SnapshotUrl() as found:
            return SnapshotSource(found, trust, waits)
        case path:
            return DirectorySource(path)
