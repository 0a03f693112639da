"""Puts the catalog on a node as a whole: the agent never sees half of a new one."""

import hashlib
import io
import tarfile
from collections.abc import Generator
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from deploys.facts.files import DirectoryDigests


@operation()
def put(files: dict[str, Path], dest: str) -> Generator[FileUploadCommand | StringCommand]:
    """Make the directory *dest* hold exactly *files* (relative name to local path), root's own."""
    wanted = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    if host.get_fact(DirectoryDigests, path=dest) == wanted:
        host.noop(f"catalog {dest} is up to date")
        return
    new, old = QuoteString(f"{dest}.new"), QuoteString(f"{dest}.old")
    archive = f"{dest}.tar"
    yield StringCommand("mkdir -p", QuoteString(str(Path(dest).parent)))
    yield FileUploadCommand(_archive(files), archive)
    yield StringCommand("rm -rf", new, old, "&& mkdir -m 755", new)
    yield StringCommand("tar -x --no-same-owner -f", QuoteString(archive), "-C", new)
    # Two renames: between them there is no catalog, which an agent takes for what it is.
    yield StringCommand(
        "if test -e", QuoteString(dest), "; then mv -T", QuoteString(dest), old, "; fi",
        "&& mv -T", new, QuoteString(dest), "&& rm -rf", old, QuoteString(archive),
    )  # fmt: skip


def _archive(files: dict[str, Path]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in files.items():
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer
