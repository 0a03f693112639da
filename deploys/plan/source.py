"""Where agents take the site from, as host or group data say: `source`, and whom to trust there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from groundplane.deploy_api import GitUrl, SourceError
from groundplane.deploy_api import parse_source as parse

TRUST_DIRECTORY = "/etc/groundplane/trust"
TRUST_FILES = ("ssh_key", "known_hosts", "ca.pem", "client.pem", "client.key", "token")


class BadSource(Exception):
    """The data of a host name a source that no agent could use; its text is the whole message."""


@dataclass(frozen=True)
class Source:
    """What an agent is told: *files* are copied to its trust directory, by their names there."""

    url: str  # "" where the catalog itself is put on the node
    files: Mapping[str, Path]


def source_of(url: str, trust: Mapping[str, str]) -> Source:
    """Return the source *url* with the files *trust* of this machine; BadSource where that is none."""
    files = {name: Path(path).expanduser() for name, path in trust.items()}
    for name, path in files.items():
        if name not in TRUST_FILES:
            raise BadSource(f'trust: "{name}" is none of {", ".join(TRUST_FILES)}')
        if not path.is_file():
            raise BadSource(f"trust: {name}: there is no file {path}")
    if not url:
        if files:
            raise BadSource("trust: the nodes have the catalog itself, and need no files for it")
        return Source("", {})
    try:
        found = parse(url)
    except SourceError as error:
        raise BadSource(str(error)) from None
    if isinstance(found, Path):
        raise BadSource(
            f'source: "{url}" is a directory; leave it empty, and the catalog is copied'
        )
    if isinstance(found, GitUrl) and found.protocol == "ssh":
        missing = [name for name in ("ssh_key", "known_hosts") if name not in files]
        if missing:
            raise BadSource(f"trust: git+ssh needs {' and '.join(missing)}")
    return Source(url, files)
