"""Writes a commit's catalog to a directory without checking it out.

Only files that the loader reads are written, as they are: no filter, attribute or link of the
repository has a say in it.
"""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from groundplane.errors import SourceError
from groundplane.load import IGNORE_FILE, MAX_FILES, SUFFIXES, Ignore, PatternError
from groundplane.sources.content import Unfit, size_of
from groundplane.sources.git_command import Git

MAX_ENTRIES: Final = 1_000_000  # a few small trees can name each other into any number of files
MAX_MATCHES: Final = 20_000_000  # of a pattern and a file: some 20 s
_REGULAR: Final = (b"100644", b"100755")
_WHY_NOT: Final = "what it stands for would be missing, since only regular files are taken"
_PIECE: Final = 1 << 16


class File(NamedTuple):
    """An entry of a tree; *size* in bytes, *mode* as git writes it."""

    path: str
    mode: bytes
    identity: bytes
    size: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def export_tree(
    git: Git, repository: Path, tree: str, into: Path, before: Path | None = None
) -> None:
    """Write the catalog of *tree* into the new directory *into*.

    A file that the export *before* has with the same bytes is linked: nobody writes into an export.

    Raises Unfit when there is none, it is too large or has links, SourceError when the repository is
    broken, OSError when it cannot be written.
    """
    entries = _entries_of(git, repository, tree)
    ignore = _ignore(git, repository, entries, into.parent)
    files = _files(git, [entry for entry in entries if not ignore.hides(entry.path)])
    if not any(file.path.endswith(SUFFIXES) for file in files):
        raise Unfit(
            f"{git.name}: no YAML file; an empty source is an error, not a site without services"
        )
    into.mkdir()
    left = [file for file in files if not _is_linked(file, before, into)] if before else files
    for file, content in _contents(git, repository, left, into.parent):
        _write(into / file.path, content)


def _is_linked(file: File, before: Path, into: Path) -> bool:
    """Link *file* from the export *before*, if its bytes there are those that git names."""
    known, path = before / file.path, into / file.path
    try:
        if not known.is_file() or known.is_symlink() or known.stat().st_size != file.size:
            return False
        if _identity(known.read_bytes(), len(file.identity)) != file.identity:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(known)
    except OSError:
        return False
    return True


def _identity(content: bytes, digits: int) -> bytes:
    """Return git's name of the blob *content*: a SHA-1 has 40 digits, a SHA-256 64 (gitformat)."""
    hashed = b"blob %d\0" % len(content) + content
    digest = hashlib.sha1(hashed) if digits == 40 else hashlib.sha256(hashed)  # noqa: S324
    return digest.hexdigest().encode()


def _entries_of(git: Git, repository: Path, tree: str) -> list[File]:
    """Return the entries of *tree* that the loader would read if they are regular files."""
    found: list[File] = []
    listing = ("ls-tree", "-r", "-z", "-l", "--full-tree", tree)
    with _running(git, repository, *listing) as output:
        for number, entry in enumerate(_entries(output)):
            described, _, raw = entry.partition(b"\t")
            mode, _, identity, length = described.split()
            path = raw.decode(errors="surrogateescape")
            if _is_read(path):
                size = int(length) if mode in _REGULAR else 0
                found.append(File(path, mode, identity, size))
            if number >= MAX_ENTRIES or len(found) > MAX_FILES:
                raise _too_large(git)
    return found


def _ignore(git: Git, repository: Path, entries: list[File], scratch: Path) -> Ignore:
    """Return the patterns of the ignore files among *entries*.

    One that cannot be read is left for the loader, which refuses the catalog with its name and line.
    """
    ignore = Ignore()
    files = _files(git, [entry for entry in entries if entry.name == IGNORE_FILE])
    for file, content in _contents(git, repository, files, scratch):
        folder = file.path.removesuffix(IGNORE_FILE)
        with suppress(UnicodeDecodeError, PatternError):
            ignore.add(folder, content.decode("utf-8-sig"))
    if ignore.size * len(entries) > MAX_MATCHES:
        message = f"{ignore.size} patterns in {IGNORE_FILE} are too many for {len(entries)} files"
        raise Unfit(f"{git.name}: {message}")
    return ignore


def _files(git: Git, entries: list[File]) -> list[File]:
    """Return *entries*, which are regular files within the limits; Unfit otherwise."""
    for entry in entries:
        if entry.mode not in _REGULAR:
            raise Unfit(f"{git.name}: {entry.path!a} is {_what(entry.mode)}; {_WHY_NOT}")
    if sum(entry.size for entry in entries) > git.max_bytes:
        raise _too_large(git)
    return entries


def _too_large(git: Git) -> Unfit:
    limits = f"{MAX_FILES} files of {size_of(git.max_bytes)}"
    return Unfit(f"{git.name}: the catalog is too large; {limits} are the limit")


def _contents(
    git: Git, repository: Path, files: list[File], scratch: Path
) -> Iterator[tuple[File, bytes]]:
    """Yield *files*, each with what it holds; the directory *scratch* takes a temporary file."""
    if not files:
        return
    with tempfile.TemporaryFile(dir=scratch) as wanted:
        wanted.writelines(file.identity + b"\n" for file in files)
        wanted.seek(0)
        with _running(git, repository, "cat-file", "--batch", "--buffer", given=wanted) as output:
            for file in files:
                yield file, _content(git.name, output, file)


def _entries(output: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while piece := output.read(_PIECE):
        *whole, rest = (rest + piece).split(b"\0")
        yield from whole


def _content(name: str, output: IO[bytes], file: File) -> bytes:
    """Return what `git cat-file --batch` has for *file*; SourceError when that is something else."""
    header = output.readline()
    content = output.read(file.size + 1)[:-1]
    if header.split() != [file.identity, b"blob", b"%d" % file.size] or len(content) != file.size:
        raise SourceError(f"{name}: {file.path!a} is damaged in what was fetched")
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)


@contextmanager
def _running(
    git: Git, repository: Path, *arguments: str, given: IO[bytes] | None = None
) -> Iterator[IO[bytes]]:
    """Run git beside what is done with its output; SourceError when it fails."""
    with (
        tempfile.TemporaryFile(dir=git.directory) as errors,
        subprocess.Popen(
            git.command(f"--git-dir={repository}", *arguments),
            stdin=given or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=git.environment,
            cwd=git.directory,
        ) as child,
    ):
        assert child.stdout  # noqa: S101
        try:
            yield child.stdout
        except BaseException:
            child.kill()
            raise
        if child.wait() != 0:
            errors.seek(0)
            raise git.fault(errors.read(_PIECE), child.returncode)


def _what(mode: bytes) -> str:
    return {b"120000": "a symbolic link", b"160000": "a submodule"}.get(mode, "no regular file")


def _is_read(path: str) -> bool:
    """Return whether the loader would read the file *path* of its source."""
    *folders, name = path.split("/")
    if any(not part or part.startswith(".") for part in folders):
        return False
    if not name or name.startswith("."):
        return name == IGNORE_FILE
    return name.endswith(SUFFIXES) or (not folders and name.endswith(".lock"))
