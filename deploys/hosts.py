"""pyinfra's hosts and groups, derived from the catalog's machines."""

from pathlib import Path
from typing import Any

from groundplane.deploy_api import Catalog, Host, groups, hosts, known_hosts
from groundplane_deploys.catalog import KEPT
from groundplane_deploys.uploads import keep_uploads_private
from groundplane_deploys.vm_keys import read_pinned

Hosts = list[tuple[str, dict[str, Any]]]

KNOWN_HOSTS = KEPT / "known_hosts"


def groups_of(catalog: Catalog) -> dict[str, Hosts]:
    """Return every group of machines, with the data that pyinfra's ssh connector needs.

    Every inventory calls this, so all later uploads of a deploy are private.
    """
    keep_uploads_private()
    listed = hosts(catalog)
    data = {host.name: _data(host) for host in listed}
    return {
        name: [(member, data[member]) for member in members]
        for name, members in groups(listed).items()
    }


def pin_host_keys(catalog: Catalog, file: Path = KNOWN_HOSTS) -> None:
    """Write the pinned host keys to *file*, where ssh clients look for them.

    The catalog pins some; those of VMs come from their hypervisors.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(known_hosts(hosts(catalog)) + read_pinned())


def _data(host: Host) -> dict[str, Any]:
    management = host.management
    data: dict[str, Any] = {
        "ssh_hostname": host.address,
        "ssh_port": management.port,
        "ssh_user": management.user,
        "ssh_strict_host_key_checking": "yes",
    }
    if host.node:
        data["node_name"] = host.node
    if host.hypervisor:
        data["hypervisor_name"] = host.hypervisor
    if management.host_keys or "vms" in host.groups:
        data["ssh_known_hosts_file"] = str(KNOWN_HOSTS)
    if management.key_file:
        data["ssh_key"] = management.key_file
    if management.user != "root":
        data["_sudo"] = True
    return data
