"""The lab's data model: values used by all other modules, validated on creation."""

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path
from typing import Final, Literal

from groundplane_deploys.lab.command import LabError

# The site's servers share the namespace of cgroups, units and logs with the nodes.
RESOLVER = "resolver"
GIT = "git"
SERVERS = frozenset({RESOLVER, GIT})

Tree = Literal["node", "node-13", "hypervisor"]  # node-13: with Debian 13, the others with 12
PYTHONS: Final = {"node": "3.11", "node-13": "3.13", "hypervisor": "3.11"}
"""Python version of each base tree: see groundplane_deploys.lab.base."""

_LABEL = "[a-z]([a-z0-9-]*[a-z0-9])?"
_PREFIX = re.compile(f"(?=.{{1,32}}$){_LABEL}")
_NODE = re.compile(rf"(?=.{{1,32}}$){_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True)
class LabNode:
    """One machine: a host name, and its addresses with their prefix lengths."""

    name: str
    addresses: tuple[str, ...]
    tree: Tree = "node"

    def __post_init__(self) -> None:
        _check_name("node name", self.name, _NODE)
        if not self.addresses:
            raise LabError(f"node {self.name}: it needs an address")
        _read_interfaces(f"node {self.name}", self.addresses)

    @property
    def interfaces(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        return _read_interfaces(f"node {self.name}", self.addresses)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses without their prefix lengths."""
        return tuple(str(interface.ip) for interface in self.interfaces)


@dataclass(frozen=True)
class Lab:
    """A set of nodes on one bridge. Everything it creates on the machine has its prefix."""

    prefix: str = "gp-lab"
    gateway: tuple[str, ...] = ("192.168.50.1/24", "fd50::1/64")
    nodes: tuple[LabNode, ...] = ()
    state: Path = Path("/var/lib/groundplane-lab")
    cache: Path = Path("/var/cache/groundplane-lab")
    guests: tuple[LabNode, ...] = ()  # VMs that a deploy creates on hypervisor nodes
    clone: Path | None = None  # of the site's repository; None for one in the state directory

    def __post_init__(self) -> None:
        _check_name("prefix", self.prefix, _PREFIX)
        _read_interfaces("gateway", self.gateway)
        for path in (self.state, self.cache):
            # These three separate the options of an overlay mount, and systemd expands the last.
            if not path.is_absolute() or set(":,\\%") & set(str(path)):
                raise LabError(f"directory {path}: an absolute path without : , \\ or %, please")
        machines = (*self.nodes, *self.guests)
        for node in machines:
            if not self.reachable_hosts(node):
                raise LabError(f"node {node.name}: no address in the networks of the gateway")
        names = [node.name for node in machines]
        hosts = [*self.gateway_hosts, *(host for node in machines for host in node.hosts)]
        for kind, values in (("name", names), ("address", hosts)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise LabError(f"{kind} used twice: {', '.join(twice)}")

    @property
    def gateway_hosts(self) -> tuple[str, ...]:
        return tuple(str(each.ip) for each in _read_interfaces("gateway", self.gateway))

    def reachable_hosts(self, node: LabNode) -> tuple[str, ...]:
        """Return the node's addresses in the gateway's networks; others are only between nodes."""
        networks = [each.network for each in _read_interfaces("gateway", self.gateway)]
        return tuple(
            str(interface.ip)
            for interface in node.interfaces
            if any(interface.ip in network for network in networks)
        )

    @property
    def ssh_dir(self) -> Path:
        return self.state / "ssh"

    @property
    def resolver_dir(self) -> Path:
        return self.state / "resolver"

    @property
    def guest_keys_dir(self) -> Path:
        """Where the host keys of VMs are pinned."""
        return self.ssh_dir / "guests"

    @property
    def git_dir(self) -> Path:
        return self.state / "git"

    @property
    def clone_dir(self) -> Path:
        return self.clone or self.state / "site"

    @property
    def nodes_dir(self) -> Path:
        return self.state / "nodes"

    def node_dir(self, name: str) -> Path:
        return self.nodes_dir / name

    def log(self, name: str) -> Path:
        """Return the log file of a node's console or of a server."""
        return self.state / "logs" / f"{name}.log"


def derive_mac(*parts: str) -> str:
    """Return a locally administered hardware address that is the same at every boot."""
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _check_name(kind: str, name: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(name):
        dots = ", dots" if form is _NODE else ""
        allowed = f"lower-case letters, digits{dots} and hyphens, 32 at most"
        raise LabError(f"{kind} {name!r}: use {allowed}, a letter at the start")
    if name in SERVERS:
        raise LabError(f"{kind} {name!r}: the lab itself uses this name")


def _read_interfaces(
    owner: str, addresses: tuple[str, ...]
) -> tuple[IPv4Interface | IPv6Interface, ...]:
    for address in addresses:
        if "/" not in address:
            raise LabError(f"{owner}: {address} lacks its prefix length")
    try:
        return tuple(ip_interface(address) for address in addresses)
    except ValueError as error:
        raise LabError(f"{owner}: {error}") from error
