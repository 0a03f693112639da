"""The files below a source: read, ignored or passed over."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Final, NoReturn

from groundplane.errors import Fault, Origin, SourceError
from groundplane.load.documents import text_of
from groundplane.load.ignore import IGNORE_FILE, Ignore, PatternError

SUFFIXES: Final = (".yaml", ".yml", ".json")
MAX_FILES: Final = 200_000
MAX_BYTES: Final = 256 << 20  # of all files that are read together


@dataclass
class Tree:
    """The content of a source, without hidden files and folders; each list has a stable order.

    *read* are the files that hold documents. *ignored* are the files and folders that an ignore file
    names. *passed_over* are not read although probably meant to be, each with the reason.
    """

    read: list[Path] = field(default_factory=list)
    ignore_files: list[Path] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    passed_over: list[tuple[Path, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def tree_of(source: Path) -> Tree:
    """Return the tree of *source*; SourceError if it cannot be read."""
    if not source.is_dir():
        what = "is not a directory" if source.exists() else "does not exist"
        raise SourceError(f"{source}: the source {what}")
    if source.resolve() == Path("/"):
        message = "name the directory of the catalog, as SOURCE or by GROUNDPLANE_SOURCE"
        raise SourceError(f"{source}: the root of the file system cannot be a catalog; {message}")
    tree, ignore = Tree(), Ignore()
    for at, folders, files in os.walk(source, onerror=_unreadable):
        folder = Path(at)
        below = "" if folder == source else f"{folder.relative_to(source).as_posix()}/"
        if IGNORE_FILE in (*files, *folders):
            tree.ignore_files.append(folder / IGNORE_FILE)
            tree.faults += _take(ignore, below, folder / IGNORE_FILE)
        shown = sorted(name for name in folders if not name.startswith("."))
        folders[:] = [name for name in shown if not ignore.hides(f"{below}{name}/")]
        tree.ignored += [f"{below}{name}/" for name in shown if name not in folders]
        links = (folder / name for name in folders if (folder / name).is_symlink())
        tree.passed_over += [(path, "it is a link to a folder") for path in links]
        for name in sorted(files):
            if not name.startswith("."):
                _sort_in(tree, ignore, folder / name, f"{below}{name}")
        if len(tree.read) > MAX_FILES:
            raise SourceError(f"{source}: over {MAX_FILES} files; name others in {IGNORE_FILE}")
    tree.read.sort()
    tree.passed_over.sort()
    return tree


def require_size(source: Path, tree: Tree) -> None:
    """Raise SourceError if the files of *tree* together are larger than a catalog may be."""
    size = 0
    for path in tree.read:
        with suppress(OSError):  # it is reported when it is read
            found = path.stat()
            size += found.st_size if S_ISREG(found.st_mode) else 0
    if size > MAX_BYTES:
        limit = f"{MAX_BYTES >> 20} MiB"
        message = f"its files have {size >> 20} MiB together, and {limit} are the limit"
        raise SourceError(f"{source}: {message}; name others in {IGNORE_FILE}")


def _sort_in(tree: Tree, ignore: Ignore, path: Path, below: str) -> None:
    if path.suffix.lower() not in SUFFIXES:
        return
    if ignore.hides(below):
        tree.ignored.append(below)
    elif path.suffix not in SUFFIXES:
        ends = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        tree.passed_over.append((path, f"its name has to end in {ends}"))
    else:
        # Includes other things than regular files: each is reported as an error later.
        tree.read.append(path)


def _take(ignore: Ignore, folder: str, path: Path) -> list[Fault]:
    text = text_of(path)
    if isinstance(text, Fault):
        return [text]
    try:
        ignore.add(folder, text)
    except PatternError as error:
        return [Fault(Origin(str(path), error.line), "", "", str(error))]
    return []


def _unreadable(error: OSError) -> NoReturn:
    raise SourceError(f"{error.filename}: cannot be read: {error.strerror}")
