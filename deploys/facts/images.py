"""Facts about images on a hypervisor, disks based on them, and free space."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyinfra.api import FactBase, QuoteString, StringCommand


@dataclass(frozen=True)
class Stored:
    """A directory of images: sizes of files in bytes, targets of links, and texts of digests."""

    sizes: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


class StoredImages(FactBase[Stored]):
    """The content of the image directory *path*; empty if it does not exist."""

    default = Stored

    def command(self, path: str) -> StringCommand:
        quoted = QuoteString(path)
        return StringCommand(
            "if test -d", quoted, "; then cd", quoted,
            r"&& find . -maxdepth 1 -type f -printf 'file %s %f\n' -o -type l -printf 'link %f %l\n'"
            " && for each in *.sha256; do"
            ' test -f "$each" && echo "digest $each $(head -c 64 "$each")"; done; fi; true',
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> Stored:
        stored = Stored()
        for line in output:
            kind, first, second = line.strip().split(" ", 2)
            if kind == "file":
                stored.sizes[second] = int(first)
            elif kind == "link":
                stored.links[first] = second
            else:
                stored.digests[first] = second
        return stored


class FreeBytes(FactBase[int]):
    """Free bytes below *path*, whose directory need not exist yet."""

    def command(self, path: str) -> StringCommand:
        return StringCommand(
            "at=", QuoteString(path), '; while ! test -d "$at"; do at=$(dirname "$at"); done;'
            ' df --block-size=1 --output=avail "$at" | tail -n 1', _separator="",
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> int:
        return int("".join(output).strip())


@dataclass(frozen=True)
class Backings:
    """Absolute paths: backing *files* of disks, and disks whose backing file is *unknown*."""

    files: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


class BackingFiles(FactBase[Backings]):
    """The backing files of the qcow2 disks below *path*, except those below *apart*."""

    default = Backings

    def command(self, path: str, apart: str) -> StringCommand:
        look = 'echo "disk $1"; qemu-img info -U --output=json "$1" 2>/dev/null | tr -d "\\n"; echo'
        return StringCommand(
            "if test -d", QuoteString(path), "; then find", QuoteString(path),
            "-path", QuoteString(apart), "-prune -o -type f -name '*.qcow2' -exec sh -c",
            QuoteString(look), r"- {} \; ; fi",
        )  # fmt: skip

    def process(self, output: Iterable[str]) -> Backings:
        files: set[str] = set()
        unknown: set[str] = set()
        for line in output:
            if line.startswith("disk "):
                disk = line.removeprefix("disk ")
                unknown.add(disk)
            elif line.strip():
                shown = json.loads(line)
                unknown.discard(disk)
                if backing := shown.get("full-backing-filename", shown.get("backing-filename")):
                    files.add(backing)
        return Backings(frozenset(files), frozenset(unknown))
