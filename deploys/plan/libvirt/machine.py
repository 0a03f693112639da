"""A VM as its hypervisor must create it: a Node document and its references in one value."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import Final, Literal

from groundplane.deploy_api import Catalog, Hypervisor, Network, Node, Vm, quantity
from groundplane_deploys.plan.libvirt import paths
from groundplane_deploys.plan.libvirt.identity import mac_of, uuid_of

_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True)
class Machine:
    """Sizes are in bytes, whole MiB; *addresses* have the prefix lengths of *network*'s ranges."""

    site: str
    name: str
    user: str
    cpus: int
    memory: int
    disk: int
    base: str
    pool: str
    network: Network
    addresses: tuple[str, ...]
    addressing: Literal["static", "dhcp"]
    authorized_keys: tuple[str, ...]
    autostart: bool
    state: Literal["running", "off"]
    filter: str

    @property
    def mac(self) -> str:
        return mac_of(self.name)

    @property
    def uuid(self) -> str:
        return uuid_of(self.site, "domain", self.name)

    @property
    def disk_path(self) -> str:
        return paths.disk(self.pool, self.name)

    @property
    def seed_path(self) -> str:
        return paths.seed(self.pool, self.name)

    @property
    def host_key(self) -> str:
        return paths.host_key(self.pool, self.name)

    @property
    def reachable_host(self) -> str:
        """The first address, where the hypervisor has one of its own on the network, or ""."""
        on_it = self.network.mode != "bridge" or self.network.addresses
        return str(ip_interface(self.addresses[0]).ip) if on_it else ""


def machines_of(
    catalog: Catalog, hypervisor: Hypervisor, authorized_keys: Iterable[str] = ()
) -> tuple[Machine, ...]:
    """Return the VMs that *hypervisor* carries, by name; *authorized_keys* are let into each."""
    return tuple(
        _machine(catalog, hypervisor, node, node.spec.vm, tuple(authorized_keys))
        for node in sorted(catalog.nodes.values(), key=lambda node: node.name)
        if node.spec.vm is not None and node.spec.vm.hypervisor == hypervisor.name
    )


def _machine(
    catalog: Catalog, hypervisor: Hypervisor, node: Node, vm: Vm, authorized_keys: tuple[str, ...]
) -> Machine:
    network = next(each for each in hypervisor.spec.networks if each.name == vm.network)
    return Machine(
        site=catalog.cluster.metadata.name,
        name=node.name,
        user=node.spec.management.user,
        cpus=vm.cpus,
        memory=_whole(vm.memory),
        disk=_whole(vm.disk),
        base=paths.base_image_path(hypervisor, catalog.images[vm.image]),
        pool=hypervisor.spec.pool,
        network=network,
        addresses=tuple(_interface(network, address) for address in node.spec.addresses),
        addressing=vm.addressing,
        authorized_keys=tuple(dict.fromkeys((*vm.authorized_keys, *authorized_keys))),
        autostart=vm.autostart,
        state=vm.state,
        filter=vm.filter,
    )


def _whole(text: str) -> int:
    """Return a quantity as qemu rounds it up, so that what is found can be what is wanted."""
    return -(-quantity(text) // _MEBIBYTE) * _MEBIBYTE


def _interface(network: Network, address: str) -> str:
    given = ip_interface(address).ip
    ranges = (ip_network(cidr) for cidr in network.cidrs)
    return next(f"{given}/{each.prefixlen}" for each in ranges if given in each)
