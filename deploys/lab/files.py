"""The node-specific files on top of the base tree: texts only."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from groundplane_deploys.lab.model import Lab, LabNode, Tree


@dataclass(frozen=True)
class NodeFile:
    """A file of a node, by its path from the node's root."""

    path: str
    text: str
    mode: int = 0o644

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.mode:o}\n{self.text}".encode()).hexdigest()


# libvirt cannot divide the control groups of a container, nor give a guest devices of its own.
# As root, qemu may use /dev/kvm, whose group is the machine's and not the container's.
_QEMU = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""

TREE_FILES: Mapping[Tree, tuple[NodeFile, ...]] = {
    "node": (),
    "node-13": (),
    "hypervisor": (NodeFile("etc/libvirt/qemu.conf", _QEMU, 0o600),),
}


def compose_files(
    lab: Lab, node: LabNode, authorized_key: str, host_key: str, host_key_public: str
) -> tuple[NodeFile, ...]:
    """Return all files of one node that are not in the base tree."""
    return (
        NodeFile("etc/hostname", f"{node.name}\n"),
        NodeFile("etc/hosts", format_hosts((*lab.nodes, *lab.guests))),
        NodeFile("etc/resolv.conf", format_resolv_conf(lab)),
        NodeFile("etc/systemd/network/10-host0.network", format_network(lab, node)),
        NodeFile("etc/ssh/ssh_host_ed25519_key", host_key, 0o600),
        NodeFile("etc/ssh/ssh_host_ed25519_key.pub", host_key_public),
        NodeFile("root/.ssh/authorized_keys", authorized_key, 0o600),
        *(TREE_FILES[node.tree]),
    )


def format_hosts(nodes: Iterable[LabNode]) -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{host} {node.name}" for node in nodes for host in node.hosts]
    return "".join(f"{line}\n" for line in lines)


def format_resolv_conf(lab: Lab) -> str:
    return "".join(f"nameserver {host}\n" for host in lab.gateway_hosts)


def format_network(lab: Lab, node: LabNode) -> str:
    """Return the network file: static addresses, and nothing learned from the network."""
    lines = [
        "[Match]",
        "Name=host0",
        "",
        "[Network]",
        "DHCP=no",
        # Neighbour discovery uses it; an IPv4 one would be a surprise.
        "LinkLocalAddressing=ipv6",
        "IPv6AcceptRA=no",
        "LLMNR=no",
        "MulticastDNS=no",
        "LLDP=no",
        "EmitLLDP=no",
    ]
    versions = {ip_address(host).version for host in lab.reachable_hosts(node)}
    lines += [
        f"Gateway={host}" for host in lab.gateway_hosts if ip_address(host).version in versions
    ]
    for interface in node.interfaces:
        lines += ["", "[Address]", f"Address={interface}"]
        if interface.version == 6:
            # Duplicate address detection would delay each boot by a second.
            lines.append("DuplicateAddressDetection=none")
    return "".join(f"{line}\n" for line in lines)
