"""Parses the text that names a source into values that are safe to pass to a command.

The parser is strict: it rejects text that is not clearly one of the forms, so that no text can act
as an option, leave a directory, or name a helper program.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from groundplane.errors import SourceError, printable

FORMS: Final = (
    "a source is a directory, git+ssh://[USER@]HOST[:PORT]/PATH or git+https://HOST[:PORT]/PATH, "
    "both with ?ref=BRANCH_OR_TAG&path=DIRECTORY, or https://HOST[:PORT]/PATH of a snapshot"
)
_REFUSED: Final = {
    "http": "over http anyone on the way can change it: use https",
    "git": "git:// is neither encrypted nor authenticated: use git+ssh or git+https",
    "git+http": "over http anyone on the way can change it: use git+https",
    "git+git": "git:// is neither encrypted nor authenticated: use git+ssh or git+https",
    "ssh": "write git+ssh://",
    "file": "write the path of the directory alone",
    "git+file": "a repository has to be on a server: use git+ssh or git+https",
}
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(://|::)")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~+@=,][A-Za-z0-9._~+@=,-]*")
_REF: Final = re.compile(r"[A-Za-z0-9_.+@=,#/-]+")
_MAX: Final = 2000


@dataclass(frozen=True)
class GitUrl:
    """A directory of a repository, at a branch or tag."""

    protocol: str  # "ssh" or "https"
    user: str  # "" for none
    host: str
    port: int  # 0 for the protocol's default
    repository: str  # begins with "/"
    ref: str  # "" for the HEAD of the repository
    directory: str  # "" for all of it

    @property
    def remote(self) -> str:
        """Return the URL as git reads it."""
        user = f"{self.user}@" if self.user else ""
        return f"{self.protocol}://{user}{_place(self.host, self.port)}{self.repository}"

    @property
    def place(self) -> str:
        """Return the path that git sends to a server: below a user's home it begins with ~."""
        return self.repository.removeprefix("/") if self.repository[1] == "~" else self.repository

    def __str__(self) -> str:
        given = {"ref": self.ref, "path": self.directory}
        query = "&".join(f"{key}={quote(text)}" for key, text in given.items() if text)
        return f"git+{self.remote}{'?' if query else ''}{query}"


@dataclass(frozen=True)
class SnapshotUrl:
    """A compiled site on a web server."""

    host: str
    port: int  # 0 for 443
    path: str

    def __str__(self) -> str:
        return f"https://{_place(self.host, self.port)}{self.path}"


def parse(url: str) -> Path | GitUrl | SnapshotUrl:
    """Return the source named by *url*; SourceError if it has no known form."""
    try:
        return _parse(url)
    except ValueError as error:
        raise SourceError(f"the source {_redacted(url)}: {printable(str(error))}") from None


def _parse(url: str) -> Path | GitUrl | SnapshotUrl:
    _require(url and printable(url) == url and len(url) <= _MAX, FORMS)
    match = _SCHEME.match(url)
    if match is None:
        # HOST:PATH, a form of git and ssh, would otherwise be taken for a missing directory.
        remote = ":" in url.partition("/")[0]
        _require(not remote, f"{FORMS}; a directory with a colon in its name begins with / or ./")
        return Path(url)
    _require(
        match[2] == "://", f"{match[1]}:: is a helper program of git, and none is run; {FORMS}"
    )
    scheme = match[1].lower()
    if scheme not in ("git+ssh", "git+https", "https"):
        raise ValueError(_REFUSED.get(scheme, FORMS))
    rest, mark, query = url[match.end() :].partition("?")
    authority, _, path = rest.partition("/")
    user, at, place = authority.rpartition("@")
    _require(":" not in user, "password in URL; remove it")
    host, port = _host_and_port(place)
    path = _path(path)
    if scheme == "https":
        _require(not at and not mark, "it has a user or a query; a snapshot's URL has neither")
        _require(not path.endswith(".git"), "for a repository write git+https://")
        return SnapshotUrl(host, port, path)
    _require(
        scheme == "git+ssh" or not at, "a user belongs in the file of the token, not in the URL"
    )
    _require(not at or _USER.fullmatch(user), f'"{user}" is not a user name')
    options = _options(query)
    ref, directory = options.get("ref", ""), options.get("path", "")
    _require(not ref or _is_ref(ref), f'"{ref}" is not the name of a branch or tag')
    _require(not directory or _is_below(directory), f'"{directory}" is not a path in a repository')
    return GitUrl(
        scheme.removeprefix("git+"), user if at else "", host, port, path, ref, directory.strip("/")
    )


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _host_and_port(place: str) -> tuple[str, int]:
    host, colon, digits = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    host = (host if colon else place).lower()
    if host.startswith("[") and host.endswith("]"):
        try:
            host = str(ipaddress.IPv6Address(host[1:-1].partition("%")[0]))
        except ValueError:
            raise ValueError(f'"{host}" is not an IPv6 address') from None
    else:
        labels = host.split(".")
        known = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
        _require(known, f'"{host}" is not a host name')
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 6
    port = int(digits) if colon and is_number else 0
    _require(not colon or 0 < port < 65536, f'"{digits}" is not a port')
    return host, port


def _path(path: str) -> str:
    segments = path.rstrip("/").split("/")
    good = all(_SEGMENT.fullmatch(each) and each not in (".", "..") for each in segments)
    _require(good, f'"/{path}" is not a path of a repository or snapshot')
    return "/" + "/".join(segments)


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in query.split("&") if query else ():
        key, _, value = each.partition("=")
        _require(
            key in ("ref", "path"), f'"{key}" is not an option of a repository; use ref or path'
        )
        _require(key not in found, f"{key} stands there twice")
        text = unquote_to_bytes(value).decode("ascii", "replace")
        _require(text, f"{key} is empty")
        found[key] = text
    return found


def _is_ref(ref: str) -> bool:
    """Return whether git accepts *ref*, and no command can take it for an option.

    Git's rules are in git-check-ref-format(1).
    """
    parts = ref.split("/")
    return (
        _REF.fullmatch(ref) is not None
        and ".." not in ref
        and ref not in ("@", "HEAD")
        and not ref.startswith("-")
        and not ref.endswith(".")
        and not any(not part or part[0] in ".-" or part.endswith(".lock") for part in parts)
    )


def _is_below(directory: str) -> bool:
    parts = directory.strip("/").split("/")
    return all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in parts)


def _place(host: str, port: int) -> str:
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def _redacted(url: str) -> str:
    """Return *url* for a message: without possible secrets, and not too long."""
    plain = url.partition("?")[0]
    before, slashes, rest = plain.partition("//")
    if slashes and "@" in rest:
        plain = f"{before}//…@{rest.rpartition('@')[2]}"
    shown = printable(plain)
    return f'"{shown if len(shown) <= 200 else shown[:200] + "…"}"'
