"""Networks of libvirt's own (modes nat and route): their XML, and what a live one differs in.

Reservations come and go with VMs and are changed while the network is up. A digest in the metadata
and a few settings that are read back cover everything else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network

from groundplane.deploy_api import Network, render_template
from groundplane_deploys.plan.libvirt.identity import NAMESPACE, digest_of, owner_of, uuid_of
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.xml import attribute, parse


@dataclass(frozen=True, order=True)
class Reservation:
    """The IPv4 address that a VM is always given, by its hardware address."""

    mac: str
    name: str
    address: str

    @property
    def xml(self) -> str:
        return f"<host mac='{self.mac}' name='{self.name}' ip='{self.address}'/>"


@dataclass(frozen=True)
class LiveNetwork:
    """What is said of a network."""

    site: str
    mode: str
    bridge: str
    mtu: int
    addresses: tuple[str, ...]
    definition: str
    reservations: frozenset[Reservation]


def reservations(machines: Iterable[Machine], network: Network) -> frozenset[Reservation]:
    """Return those of *network*.

    IPv4 alone: libvirt knows a client of DHCPv6 by an identifier that the guest makes up, so
    cloud-init sets the IPv6 addresses of every VM.
    """
    return frozenset(
        Reservation(machine.mac, machine.name, str(interface.ip))
        for machine in machines
        if machine.network.name == network.name and machine.addressing == "dhcp"
        for interface in map(ip_interface, machine.addresses)
        if interface.version == 4
    )


def gateways(network: Network) -> tuple[str, ...]:
    """Return the hypervisor's own addresses on *network*: the first of each of its ranges."""
    return tuple(str(next(ip_network(cidr).hosts())) for cidr in network.cidrs)


def network_xml(site: str, network: Network, reserved: Iterable[Reservation]) -> str:
    """Return the XML that defines *network* with its reservations."""
    definition = digest_of(_render(site, network, (), ""))
    return _render(site, network, reserved, definition)


def read_network(xml: str) -> LiveNetwork:
    """Return what the XML of a network says, whoever wrote it."""
    root = parse(xml)
    site, definition = owner_of(root)
    return LiveNetwork(
        site=site,
        mode=attribute(root, "forward", "mode"),
        bridge=attribute(root, "bridge", "name"),
        mtu=int(attribute(root, "mtu", "size") or "0"),
        addresses=tuple(
            f"{ip.get('address', '')}/{ip.get('prefix', '')}" for ip in root.iterfind("ip")
        ),
        definition=definition,
        reservations=frozenset(
            Reservation(host.get("mac", ""), host.get("name", ""), host.get("ip", ""))
            for host in root.iterfind("ip/dhcp/host")
        ),
    )


def other_differences(wanted: LiveNetwork, found: LiveNetwork) -> tuple[str, ...]:
    """Return what *found* differs in but for reservations, as "mtu 1500 -> 9000"."""
    names = ("site", "mode", "bridge", "mtu", "addresses")
    pairs = ((name, getattr(found, name), getattr(wanted, name)) for name in names)
    said = tuple(f"{name} {old} -> {new}" for name, old, new in pairs if old != new)
    if said or wanted.definition == found.definition:
        return said
    return ("other settings",)


def _render(site: str, network: Network, reserved: Iterable[Reservation], definition: str) -> str:
    hosts = [reservation.xml for reservation in sorted(reserved)]
    ips = [
        {
            "family": f"ipv{ip_network(cidr).version}",
            "address": gateway,
            "prefix": ip_network(cidr).prefixlen,
            "hosts": hosts if ip_network(cidr).version == 4 else [],
        }
        for cidr, gateway in zip(network.cidrs, gateways(network), strict=True)
    ]
    return render_template(
        "libvirt/network.xml.j2",
        network=network,
        uuid=uuid_of(site, "network", network.name),
        site=site,
        namespace=NAMESPACE,
        definition=definition,
        ips=ips,
    )
