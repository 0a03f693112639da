"""cloud-init, which rewrites its network configuration at boot and thereby undoes a bridge."""

from collections.abc import Mapping
from typing import Final

from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.yaml_text import Document

PATH: Final = "/etc/cloud/cloud.cfg.d/99-groundplane-network.cfg"
_TEXT: Final = """\
# Written by groundplane: cloud-init would undo the bridge at the next boot.
network: {config: disabled}
"""
_BASE: Final = "/etc/cloud/cloud.cfg"
_HEADER: Final = "generated from information provided by"


def files(
    defining: Mapping[str, str], configuration: Mapping[str, str], *, runs: bool
) -> dict[str, str]:
    """Return the file that keeps cloud-init from the network, or no file where none is needed.

    *defining* are the files that configure the ports of bridges, *configuration* those of
    cloud-init, by path; *runs* says whether cloud-init is active at boot. Our file stays once it
    exists: a cloud-init file that has lost the port cannot always be told from others.
    BridgeError if our file would have no effect.
    """
    if PATH in configuration:
        return {PATH: _TEXT}
    written = sorted(path for path, text in defining.items() if is_written_by_it(path, text))
    if not runs or not written or _network_of(configuration)[1] == "disabled":
        return {}
    deciding, _ = _network_of({**configuration, PATH: _TEXT})
    if deciding != PATH:
        raise BridgeError(
            f"{deciding} gives cloud-init a network, and counts for more than {PATH}: cloud-init "
            f"would write {', '.join(written)} again at the next boot, and undo the bridge"
        )
    return {PATH: _TEXT}


def is_written_by_it(path: str, text: str) -> bool:
    """Whether cloud-init wrote the file, by its name or by the comment that it begins with."""
    head = [line for line in text.splitlines()[:10] if line.startswith("#")]
    return path.rsplit("/", 1)[-1].startswith("50-cloud-init") or _HEADER in " ".join(head)


def _network_of(configuration: Mapping[str, str]) -> tuple[str, str]:
    """Return the file whose network.config counts, and that; the last file's does."""
    found = ("", "")
    for path in sorted(configuration, key=lambda each: (each != _BASE, each)):
        document = Document(path, configuration[path])
        for key, network in document.entries(document.root, "the file") if document.root else ():
            if key == "network":
                words = dict(document.entries(network, key))
                found = (path, document.scalar(words["config"])) if "config" in words else found
    return found
