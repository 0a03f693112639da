"""pyinfra's hosts and groups, derived from the Node documents: nothing is written twice."""

from typing import Any

from groundplane.model.catalog import Catalog
from groundplane.model.site import Node

Hosts = list[tuple[str, dict[str, Any]]]


def hosts_of(catalog: Catalog) -> Hosts:
    """Return every node with the data that pyinfra's ssh connector needs."""
    return [(node.name, _data(node)) for node in catalog.nodes.values()]


def _data(node: Node) -> dict[str, Any]:
    management = node.spec.management
    data: dict[str, Any] = {
        "ssh_hostname": management.host or node.spec.addresses[0],
        "ssh_port": management.port,
        "ssh_user": management.user,
        "ssh_strict_host_key_checking": "yes",
        "node_name": node.name,
    }
    if management.key_file:
        data["ssh_key"] = management.key_file
    if management.user != "root":
        data["_sudo"] = True
    return data
