"""Put the catalog on a node as a whole: the agent never sees half of a new one."""

import hashlib
import io
import tarfile
from collections.abc import Generator
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from groundplane_deploys.facts.files import DirectoryDigests, Permissions


@operation()
def put(
    files: dict[str, Path], dest: str, group: str
) -> Generator[FileUploadCommand | StringCommand]:
    """Make the directory *dest* contain exactly *files* (relative name to local path), all root's.

    Only *group* may read it, since headers of probes may be secret.
    """
    wanted = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    closed = host.get_fact(Permissions, path=dest).get("") == f"750 root:{group}"
    if closed and host.get_fact(DirectoryDigests, path=dest) == wanted:
        host.noop(f"catalog {dest} is up to date")
        return
    new, old = QuoteString(f"{dest}.new"), QuoteString(f"{dest}.old")
    archive = f"{dest}.new/.tar"  # where nobody else reads it
    yield StringCommand("mkdir -p", QuoteString(str(Path(dest).parent)))
    yield StringCommand("rm -rf", new, old, "&& install -d -m 750 -o root -g", group, new)
    yield FileUploadCommand(_archive(files), archive)
    yield StringCommand(
        "tar -x --no-same-owner -f", QuoteString(archive), "-C", new,
        "&& rm", QuoteString(archive),
        "&& chgrp -R", group, new, "&& chmod -R u=rwX,g=rX,o=", new,
    )  # fmt: skip
    # Two renames: between them the catalog is missing, which an agent recognizes.
    yield StringCommand(
        "if test -e", QuoteString(dest), "; then mv -T", QuoteString(dest), old, "; fi",
        "&& mv -T", new, QuoteString(dest), "&& rm -rf", old,
    )  # fmt: skip


def _archive(files: dict[str, Path]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in files.items():
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o640
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer
