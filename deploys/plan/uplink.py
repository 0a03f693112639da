"""The link that has a bare node's addresses, as files of systemd-networkd; pure.

Hosts whose NIC ifupdown or netplan configures keep their own set-up: their owner gives them the
addresses that the catalog says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from groundplane.deploy_api import Uplink, render_template
from groundplane_deploys.plan.bridging import networkd
from groundplane_deploys.plan.bridging.change import Change, Made, digest
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.found import Link, Managers
from groundplane_deploys.plan.bridging.plan import manager_of


@dataclass(frozen=True)
class Layer:
    """A link of the uplink: a bond's member, the device itself, or the VLAN on it."""

    name: str
    mtu: int
    bond: str = ""
    vlan: str = ""
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()


def layers(uplink: Uplink, addresses: tuple[str, ...]) -> Iterator[Layer]:
    """Yield the links from below to above; the last one has *addresses*."""
    device = uplink.device
    for member in uplink.bond.members if uplink.bond else ():
        yield Layer(member, uplink.mtu, bond=device)
    top = f"{device}.{uplink.vlan}" if uplink.vlan else device
    if uplink.vlan:
        yield Layer(device, uplink.mtu, vlan=top)
    interfaces = tuple(_interface(each, uplink.cidrs) for each in addresses)
    yield Layer(
        top,
        uplink.mtu,
        addresses=interfaces,
        gateways=uplink.gateways,
        nameservers=uplink.nameservers,
    )


def files(uplink: Uplink, addresses: tuple[str, ...]) -> dict[str, str]:
    """Return networkd's files for *uplink*, by absolute path."""
    found = {
        f"{layer.name}.network": _render("device.network", link=layer)
        for layer in layers(uplink, addresses)
    }
    device = uplink.device
    if uplink.bond:
        found[f"{device}.netdev"] = _render("bond.netdev", link=device, mode=uplink.bond.mode)
    if uplink.vlan:
        name = f"{device}.{uplink.vlan}"
        found[f"{name}.netdev"] = _render("vlan.netdev", link=name, vlan=uplink.vlan)
    prefix = f"{networkd.DIRECTORY}/{networkd.PREFIX}"
    return {f"{prefix}{name}": text for name, text in found.items()}


def plan(
    uplink: Uplink,
    addresses: tuple[str, ...],
    links: Mapping[str, Link],
    found: Managers,
    there: Mapping[str, str],
) -> Change:
    """Return the change that makes *uplink*; *there* are the SHA-256 of networkd's files by path.

    Raises BridgeError where a NIC is missing, or where something else configures it.
    """
    nics = list(uplink.bond.members) if uplink.bond else [uplink.device]
    if missing := [name for name in nics if name not in links]:
        known = ", ".join(sorted(name for name in links if name != "lo"))
        raise BridgeError(f"there is no NIC {', '.join(missing)}: there are {known}")
    manager = manager_of(found, nics)
    if manager != "networkd":
        raise BridgeError(
            f"{manager} configures the network here, and keeps it: give {uplink.device} the "
            "addresses there, and leave spec.uplink out"
        )
    wanted: dict[str, str | None] = {**files(uplink, addresses)}
    stale = sorted(path for path in there if networkd.is_ours(path) and path not in wanted)
    all_layers = [Made(each.name, each.mtu, each.addresses) for each in layers(uplink, addresses)]
    made = tuple(each for each in all_layers if each.name not in nics)
    before = {name for path in stale for name in networkd.links_of(path)}
    return Change(
        manager,
        {**wanted, **dict.fromkeys(stale)},
        made,
        tuple(each for each in all_layers if each.name in nics),
        tuple((name, uplink.device) for name in nics if uplink.bond),
        tuple(sorted(before - {each.name for each in made})),
        tuple(sorted(_remade(wanted, there))),
    )


def _remade(wanted: Mapping[str, str | None], there: Mapping[str, str]) -> Iterator[str]:
    """Yield the links whose .netdev file says something else: networkd keeps a bond's mode."""
    for path, text in wanted.items():
        if text is not None and path in there and digest(text) != there[path]:
            yield from networkd.links_of(path)


def _interface(address: str, cidrs: tuple[str, ...]) -> str:
    network = next(each for each in map(ip_network, cidrs) if ip_address(address) in each)
    return f"{address}/{network.prefixlen}"


def _render(template: str, **values: object) -> str:
    return render_template(f"uplink/{template}.j2", **values)
