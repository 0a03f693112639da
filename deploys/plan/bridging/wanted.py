"""What the bridges of a hypervisor are to be, by its networks: pure values, for every manager."""

import hashlib
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from groundplane.deploy_api import Network

_LONGEST = 15  # characters of a link's name (IFNAMSIZ)


@dataclass(frozen=True)
class Bridge:
    """A bridge; *addresses* have their prefix lengths. Its *port* is the uplink, or a VLAN of it."""

    name: str
    mtu: int
    ipv6: bool
    uplink: str | None = None
    vlan: int | None = None
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()

    @property
    def port(self) -> str | None:
        if self.uplink is None or self.vlan is None:
            return self.uplink
        return vlan_link(self.uplink, self.vlan)


@dataclass(frozen=True)
class Uplink:
    """A NIC: the port of *bridge*, if any, and below *vlans* (links and their numbers)."""

    name: str
    mtu: int
    bridge: str | None
    vlans: tuple[tuple[str, int], ...]


def bridges_of(networks: tuple[Network, ...]) -> tuple[Bridge, ...]:
    """Return the bridges among *networks*; those with other modes are libvirt's."""
    return tuple(
        Bridge(
            name=network.name,
            mtu=network.mtu,
            ipv6=any(":" in cidr for cidr in network.cidrs),
            uplink=network.uplink,
            vlan=network.vlan,
            addresses=tuple(_interface(each, network.cidrs) for each in network.addresses),
            gateways=network.gateways,
            nameservers=network.nameservers,
        )
        for network in networks
        if network.mode == "bridge"
    )


def uplinks_of(bridges: tuple[Bridge, ...]) -> tuple[Uplink, ...]:
    """Return the NICs below *bridges*: a NIC carries the largest packets of all above it."""
    names = dict.fromkeys(bridge.uplink for bridge in bridges if bridge.uplink)
    return tuple(_uplink(name, [each for each in bridges if each.uplink == name]) for name in names)


def vlan_link(uplink: str, vlan: int) -> str:
    """Return the name of the link for *vlan* on *uplink*, which the kernel wants short."""
    plain = f"{uplink}.{vlan}"
    if len(plain) <= _LONGEST:
        return plain
    return f"v{vlan}.{hashlib.sha256(uplink.encode()).hexdigest()[:8]}"


def _uplink(name: str, above: list[Bridge]) -> Uplink:
    return Uplink(
        name=name,
        mtu=max(bridge.mtu for bridge in above),
        bridge=next((bridge.name for bridge in above if bridge.vlan is None), None),
        vlans=tuple((vlan_link(name, each.vlan), each.vlan) for each in above if each.vlan),
    )


def _interface(address: str, cidrs: tuple[str, ...]) -> str:
    network = next(each for each in map(ip_network, cidrs) if ip_address(address) in each)
    return f"{address}/{network.prefixlen}"
