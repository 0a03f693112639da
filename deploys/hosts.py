"""pyinfra's hosts and groups, derived from the Node documents: nothing is written twice."""

from pathlib import Path
from typing import Any

from deploys.catalog import ROOT
from groundplane.model.catalog import Catalog
from groundplane.model.site import Node

Hosts = list[tuple[str, dict[str, Any]]]

KNOWN_HOSTS = ROOT / ".cache" / "known_hosts"


def hosts_of(catalog: Catalog) -> Hosts:
    """Return every node with the data that pyinfra's ssh connector needs."""
    return [(node.name, _data(node)) for node in catalog.nodes.values()]


def pin_host_keys(catalog: Catalog, file: Path = KNOWN_HOSTS) -> None:
    """Write the host keys that Node documents pin to *file*, where ssh clients look for them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(known_hosts(catalog))


def known_hosts(catalog: Catalog) -> str:
    """Return the pinned host keys in the form of known_hosts (sshd(8))."""
    lines = []
    for node in catalog.nodes.values():
        management = node.spec.management
        host = management.host or node.spec.addresses[0]
        name = host if management.port == 22 else f"[{host}]:{management.port}"
        lines += [f"{name} {key}\n" for key in management.host_keys]
    return "".join(lines)


def _data(node: Node) -> dict[str, Any]:
    management = node.spec.management
    data: dict[str, Any] = {
        "ssh_hostname": management.host or node.spec.addresses[0],
        "ssh_port": management.port,
        "ssh_user": management.user,
        "ssh_strict_host_key_checking": "yes",
        "node_name": node.name,
    }
    if management.host_keys:
        data["ssh_known_hosts_file"] = str(KNOWN_HOSTS)
    if management.key_file:
        data["ssh_key"] = management.key_file
    if management.user != "root":
        data["_sudo"] = True
    return data
