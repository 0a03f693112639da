"""A cache, on disk, of what a source was compiled to: it saves time, and nothing else.

Every entry starts with a code: an HMAC over the program's version, the entry's name and its
content, with a secret key that only this user can read. The cache ignores an entry that is damaged,
that another version of the program wrote, or that somebody without the key wrote. An entry that
cannot be written is missing, and the next compile takes longer.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import groundplane

_CODE_BYTES: Final = 32
_KEY_BYTES: Final = 32
_MODE: Final = 0o600
_LIBRARIES: Final = ("msgspec", "netaddr", "pathspec", "ryaml", "yaml")
_OURS: Final = re.compile(r"[0-9a-f]{64}|\.entry-[0-9a-f]{16}")  # a record, or one being written


class CompileCache:
    """The cache of one source in *directory*; its `get` and `put` are those of `Records`."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory, self._key = directory, key

    def get(self, name: str) -> bytes | None:
        """Return the entry *name*; None if it is missing or its code is wrong."""
        try:
            with (self._directory / name).open("rb") as file:
                code, content = file.read(_CODE_BYTES), file.read()
        except OSError:
            return None
        return content if hmac.compare_digest(code, self._code(name, content)) else None

    def put(self, name: str, content: bytes) -> None:
        """Keep *content* as *name*, if there is room.

        Another process may put the same entry: each writes a file of its own, and renames it.
        """
        path = self._directory / name
        temporary = path.with_name(f".entry-{secrets.token_hex(8)}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(temporary, flags, _MODE), "wb") as file:
                file.write(self._code(name, content))
                file.write(content)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def keep_only(self, names: set[str]) -> None:
        """Delete the records that are not *names*, and what a killed process left of an entry.

        Other files in the directory are not ours, whatever somebody took it for.
        """
        with suppress(OSError):
            for path in list(self._directory.iterdir()):
                if path.name not in names and _OURS.fullmatch(path.name):
                    with suppress(OSError):
                        path.unlink(missing_ok=True)

    def _code(self, name: str, content: bytes) -> bytes:
        code = hmac.new(self._key, f"{build()} {name}\n".encode(), hashlib.sha256)
        code.update(content)
        return code.digest()


@cache
def build() -> str:
    """Return what tells this program from any other version of it.

    That is the interpreter, and the sizes and times of its own files and of the libraries that a
    catalog is read and compiled with.
    """
    package = Path(groundplane.__file__).parent
    files = [*package.rglob("*.py")]
    for spec in map(find_spec, _LIBRARIES):
        folder = Path(spec.origin).parent if spec and spec.origin else package
        files += (path for path in folder.iterdir() if path.suffix in (".py", ".so"))
    found = sorted((str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in files)
    return hashlib.sha256(repr((sys.version, found)).encode()).hexdigest()


def open_cache(directory: Path, key_file: Path) -> CompileCache | None:
    """Return the cache in *directory* with the key in *key_file*; both are made if they are missing.

    None if that cannot be done, or others than this user and root may write there.
    """
    build()  # of the files that this process has just been started from
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (_is_ours(directory) and _is_ours(key_file.parent)):
            return None
        key = _key(key_file)
    except OSError:
        return None
    return CompileCache(directory, key) if key is not None else None


def _key(file: Path) -> bytes | None:
    """Return the key in *file*, which is made if there is none or it was cut off."""
    if not os.path.lexists(file):
        _make_key(file)
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
        return None
    if found.st_size != _KEY_BYTES:
        file.unlink()
        _make_key(file)
    key = file.read_bytes()
    return key if len(key) == _KEY_BYTES else None


def _make_key(file: Path) -> None:
    """Write a new key, unless another process does."""
    temporary = file.with_name(f".entry-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, _MODE), "wb") as new:
        new.write(secrets.token_bytes(_KEY_BYTES))
        new.flush()
        os.fsync(new.fileno())
    try:
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()


def _is_ours(directory: Path) -> bool:
    """Return whether *directory* is one, no link to one, and of this user or root alone."""
    found = directory.lstat()
    is_alone = found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022
    return stat.S_ISDIR(found.st_mode) and is_alone
