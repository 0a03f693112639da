"""`inventory`: the machines of a catalog as hosts of a deploy tool, and their groups. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from groundplane.documents.catalog import Catalog
from groundplane.documents.machine import Hypervisor, Management
from groundplane.documents.site import Node


class Host(msgspec.Struct, frozen=True):
    """A machine: how ssh reaches it, and its roles from its documents, "" if it does not have one.

    A Node and a Hypervisor of the same name are one machine; the Hypervisor says how to reach it.
    """

    name: str
    address: str
    management: Management
    node: str = ""
    hypervisor: str = ""
    groups: tuple[str, ...] = ()


def hosts(catalog: Catalog) -> tuple[Host, ...]:
    """Return the machines of *catalog*, hypervisors first, since they must exist first."""
    found = {each.name: _hypervisor(each) for each in catalog.hypervisors.values()}
    for node in catalog.nodes.values():
        found[node.name] = _node(node, found.get(node.name))
    return tuple(found.values())


def groups(listed: tuple[Host, ...]) -> dict[str, tuple[str, ...]]:
    """Return the host names of each group; group names are identifiers."""
    found: dict[str, list[str]] = defaultdict(list)
    for host in listed:
        for group in host.groups:
            found[group].append(host.name)
    return {name: tuple(members) for name, members in found.items()}


def known_hosts(listed: tuple[Host, ...]) -> str:
    """Return the pinned host keys in known_hosts format (sshd(8))."""
    lines = []
    for host in listed:
        port = host.management.port
        name = host.address if port == 22 else f"[{host.address}]:{port}"
        lines += [f"{name} {key}\n" for key in host.management.host_keys]
    return "".join(lines)


def ansible(listed: tuple[Host, ...]) -> dict[str, Any]:
    """Return the --list output of an Ansible dynamic inventory (dev_guide/developing_inventory)."""
    named = groups(listed)
    return {
        "_meta": {"hostvars": {host.name: ansible_variables(host) for host in listed}},
        "all": {"children": sorted(named)},
        **{name: {"hosts": list(members)} for name, members in sorted(named.items())},
    }


def ansible_variables(host: Host) -> Mapping[str, Any]:
    """Return the variables of *host*, the output of --host."""
    management = host.management
    variables: dict[str, Any] = {
        "ansible_host": host.address,
        "ansible_port": management.port,
        "ansible_user": management.user,
        "ansible_become": management.user != "root",
    }
    if management.key_file:
        variables["ansible_ssh_private_key_file"] = management.key_file
    if host.node:
        variables["node_name"] = host.node
    if host.hypervisor:
        variables["hypervisor_name"] = host.hypervisor
    return variables


def _hypervisor(document: Hypervisor) -> Host:
    management = document.spec.management
    return Host(
        document.name,
        management.host or document.name,
        management,
        hypervisor=document.name,
        groups=("hypervisors", *_of_labels(document.metadata.labels)),
    )


def _node(document: Node, same: Host | None) -> Host:
    spec = document.spec
    carrier = ("vms", f"hypervisor_{_identifier(spec.vm.hypervisor)}") if spec.vm else ("bare",)
    own = ("nodes", *carrier, *_of_labels(document.metadata.labels))
    management = same.management if same else spec.management
    return Host(
        document.name,
        same.address if same else management.host or spec.addresses[0],
        management,
        node=document.name,
        hypervisor=same.hypervisor if same else "",
        groups=tuple(dict.fromkeys((*(same.groups if same else ()), *own))),
    )


def _of_labels(labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        if key == "topology.kubernetes.io/zone":
            yield f"zone_{_identifier(value)}"
        else:
            yield f"label_{_identifier(key)}_{_identifier(value)}"


def _identifier(text: str) -> str:
    return re.sub(r"\W", "_", text.lower(), flags=re.ASCII)
