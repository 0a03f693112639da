"""The key file that BIND and the agent share, in tsig-keygen(8)'s format."""

import base64
import re
from pathlib import Path
from typing import Final

from groundplane.dataplanes.dns.config import KEY_NAME
from groundplane.dataplanes.dns.tsig import TsigKey
from groundplane.errors import StateError

_SECRET: Final = re.compile(r'secret\s+"([A-Za-z0-9+/=]+)"')


class KeyFile:
    """The key in *path*; the file is read again after each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, ...], TsigKey] | None = None

    def key(self) -> TsigKey:
        """Return the key; StateError if the file is unreadable or has no key."""
        try:
            found = self._path.stat()
            stamp = found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, TsigKey(KEY_NAME, self._secret())
        except OSError as error:
            raise StateError(f"{self._path}: {error.strerror}") from None
        return self._read[1]

    def _secret(self) -> bytes:
        found = _SECRET.search(self._path.read_text(errors="replace"))
        try:
            secret = base64.b64decode(found[1]) if found else b""
        except ValueError as error:
            raise StateError(f"{self._path}: the secret is not base64: {error}") from None
        if not secret:
            raise StateError(f"{self._path}: no secret in it")
        return secret
