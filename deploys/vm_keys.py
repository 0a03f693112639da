"""Host keys of VMs on the machine that deploys: pinned before a VM is first spoken to.

They are made on the hypervisors, from where `groundplane_deploys.virtualization.vms` brings their public
halves. There is one file for each hypervisor, so that runs on several do not wait for each other.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from groundplane.deploy_api import Catalog
from groundplane_deploys.catalog import KEPT

DIRECTORY = KEPT / "vm_keys"


def format_known_hosts(catalog: Catalog, keys: Mapping[str, str]) -> str:
    """Return *keys*, by the names of Nodes, as "TYPE BASE64", in the form of known_hosts (sshd(8))."""
    lines = []
    for name, key in sorted(keys.items()):
        if (node := catalog.nodes.get(name)) is None:
            continue
        management = node.spec.management
        hosts = [name, *node.spec.addresses, *([management.host] if management.host else [])]
        port = management.port
        names = (host if port == 22 else f"[{host}]:{port}" for host in dict.fromkeys(hosts))
        lines.append(f"{','.join(names)} {key}\n")
    return "".join(lines)


def read_pinned(directory: Path = DIRECTORY) -> str:
    """Return what is pinned, of every hypervisor, in the form of known_hosts."""
    return "".join(path.read_text() for path in sorted(directory.glob("*.known_hosts")))


def pinned_file(hypervisor: str, directory: Path = DIRECTORY) -> Path:
    """Return the file of the VMs of *hypervisor*, which may not be there yet."""
    return directory / f"{hypervisor}.known_hosts"


def pin(file: Path, text: str) -> None:
    """Replace the content of *file* with *text* atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)
