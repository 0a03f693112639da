"""A node's own configuration for central sources: how to verify them, and our credentials."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groundplane.errors import SourceError, printable

_MAX_TOKEN: Final = 8 << 10


@dataclass(frozen=True)
class Trust:
    """Files that are read again at each look, so that they can be replaced, and a limit."""

    key: Path | None = None  # ssh: the private key, one that may only read
    known_hosts: Path | None = None  # ssh: the servers' keys
    ca: Path | None = None  # https: who signs the servers' certificates; None for the system's
    certificate: Path | None = None  # https: our certificate
    certificate_key: Path | None = None  # its key, where that is not in the same file
    token: Path | None = None  # https: a line with USER:PASSWORD, or with a bearer's token
    max_bytes: int = 256 << 20  # of what a source has, and of what is fetched at once


NOBODY: Final = Trust()


def authorization(token: Path) -> str:
    """Return the Authorization header that the file *token* comes to; SourceError says why none."""
    try:
        with token.open("rb") as file:
            line = file.read(_MAX_TOKEN).strip().decode("ascii")
    except OSError as error:
        raise SourceError(f"{token}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        line = ""
    if not line or len(line.split()) != 1 or printable(line) != line:
        raise SourceError(f"{token}: one line is needed, with USER:PASSWORD or a token")
    if ":" in line:
        return f"Basic {base64.b64encode(line.encode()).decode()}"
    return f"Bearer {line}"


def require_readable(*files: Path | None) -> None:
    """Raise SourceError for the first of *files* that cannot be read: no other program says it so."""
    for file in files:
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:
            raise SourceError(f"{file}: cannot be read: {error.strerror}") from None
