"""A node's disk: an overlay of its own changes on the base tree, and its node-specific files.

The disk survives a crash and a power-off; only `down` removes it.
Changes made by a deploy stay: a file is rewritten only if the lab's text for it changes.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from groundplane_deploys.lab.command import run, say
from groundplane_deploys.lab.files import NodeFile
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.mounts import find_mounts, remove_tree, unmount_all


def root_of(lab: Lab, name: str) -> Path:
    """Return the mount point of the node's file system while it is up."""
    return lab.node_dir(name) / "root"


def attach_disk(lab: Lab, name: str, base: Path, files: Iterable[NodeFile]) -> Path:
    """Mount a node's disk, creating it if needed, and return its root."""
    directory, root = lab.node_dir(name), root_of(lab, name)
    unmount_all(directory)
    made = _read_record(directory)
    if made.get("base", base.name) != base.name:
        say(f"{name}: a new disk, since the base tree is another one")
    if made.get("base") != base.name:
        remove_tree(directory)
        made = {}
    for part in ("upper", "work", "root"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    # With an index, a mount that survives in another process's namespace would prevent this one.
    layers = f"lowerdir={base},upperdir={directory}/upper,workdir={directory}/work,index=off"
    run(["mount", "-t", "overlay", f"{lab.prefix}-{name}", "-o", layers, str(root)])
    for file in files:
        if made.get(file.path) != file.digest:
            _write_file(root, file)
            made[file.path] = file.digest
    made["base"] = base.name
    _record(directory).write_text(json.dumps(made, indent=2))
    return root


def is_current(lab: Lab, name: str, base: Path, files: Iterable[NodeFile]) -> bool:
    """Return whether a disk is as it would be created now."""
    made = _read_record(lab.node_dir(name))
    wanted = {"base": base.name, **{file.path: file.digest for file in files}}
    return made == wanted


def detach_disk(lab: Lab, name: str) -> None:
    unmount_all(lab.node_dir(name))


def is_attached(lab: Lab, name: str) -> bool:
    return bool(find_mounts(root_of(lab, name)))


def _write_file(root: Path, file: NodeFile) -> None:
    path = root / file.path
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True)
    # A symlink in the tree could point out of it, to the host's own file.
    path.unlink(missing_ok=True)
    path.touch(mode=file.mode)
    path.chmod(file.mode)
    path.write_text(file.text)


def _record(directory: Path) -> Path:
    return directory / "made.json"


def _read_record(directory: Path) -> dict[str, str]:
    try:
        read = json.loads(_record(directory).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(key): str(value) for key, value in read.items()}
