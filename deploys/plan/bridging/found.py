"""What a host has: its links, and what configures them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Link:
    """A link in the kernel; *addresses* have prefix lengths and exclude link-local ones."""

    name: str
    mac: str
    mtu: int
    kind: str
    master: str
    addresses: frozenset[str]


@dataclass(frozen=True)
class Managers:
    """The programs that configure links; *networkd*: the file used (or "") by each link it knows.

    *cloud_config* are the files of cloud-init's configuration that mention a network.
    """

    networkd: dict[str, str]
    networkd_runs: bool
    network_manager_runs: bool
    netplan: dict[str, str]
    interfaces: dict[str, str]
    cloud_init_runs: bool = False
    cloud_config: dict[str, str] = field(default_factory=dict)
