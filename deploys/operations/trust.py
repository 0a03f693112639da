"""Put the agent's credentials for a central source on a node."""

import hashlib
import io
from collections.abc import Generator, Mapping
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from groundplane_deploys.facts.files import DirectoryDigests, Permissions


@operation()
def put(
    files: Mapping[str, Path], dest: str, group: str
) -> Generator[FileUploadCommand | StringCommand]:
    """Make the directory *dest* hold exactly *files*, root's own, which *group* may read.

    ssh accepts a private key that another user owns and the group may read, so an agent cannot
    replace its own key. Each file is renamed into place. Diffs are not shown: they are secrets.
    """
    there = host.get_fact(Permissions, path=dest)
    digests = host.get_fact(DirectoryDigests, path=dest)
    contents = {name: path.read_bytes() for name, path in files.items()}
    if not contents:
        if there:
            yield StringCommand("rm -rf", QuoteString(dest))
        else:
            host.noop(f"there is no {dest}")
        return
    changed = False
    if there.get("") != f"750 root:{group}":
        changed = True
        yield StringCommand("install -d -m 750 -o root -g", group, QuoteString(dest))
    for name, content in contents.items():
        same = digests.get(name) == hashlib.sha256(content).hexdigest()
        if same and there.get(name) == f"640 root:{group}":
            continue
        changed = True
        path, new = QuoteString(f"{dest}/{name}"), QuoteString(f"{dest}/.{name}.new")
        yield FileUploadCommand(io.BytesIO(content), f"{dest}/.{name}.new")
        yield StringCommand("chown", f"root:{group}", new, "&& chmod 640", new, "&& mv", new, path)
    for name in sorted(there.keys() - contents.keys() - {""}):
        changed = True
        yield StringCommand("rm -rf", QuoteString(f"{dest}/{name}"))
    if not changed:
        host.noop(f"{dest} is up to date")
