"""What a host that is not a node needs to answer for services by direct routing or tunnels; pure.

docs/catalog.md, "IPVS forwarding", says who can be an endpoint, and what it needs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Final

from groundplane.deploy_api import (
    BITS,
    ROUTE_PROTOCOL,
    TUNNELS,
    compiled,
    dsr_addresses,
    family_of,
    render_template,
)

LINK: Final = "groundplane2"
_NOBODY: Final = "127.0.0.71/32"  # of the end of tunnels: an address that nothing on any link has


@dataclass(frozen=True)
class DirectReturn:
    """Addresses with their prefix lengths, tunnels' ends by name, and the next hop to each subnet."""

    addresses: tuple[str, ...] = ()
    tunnels: tuple[str, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)

    @property
    def script(self) -> str:
        """The program of the shell that makes a host have that and no more of ours."""
        return render_template(
            "backend.sh.j2", link=LINK, nobody=_NOBODY, protocol=ROUTE_PROTOCOL, wanted=self
        )


def direct_return(site: compiled.Site, links: Mapping[str, Sequence[str]]) -> DirectReturn:
    """Return what the host has to have whose links have those addresses, with prefix lengths."""
    networks = [ip_interface(text) for link in links if link != LINK for text in links[link]]
    own = {str(each.ip) for each in networks}
    direct, tunnelled = dsr_addresses(site, "direct", own), dsr_addresses(site, "tunnel", own)
    answered = sorted({*direct, *tunnelled})
    if not answered:
        return DirectReturn()
    families = {family_of(text) for text in tunnelled}
    return DirectReturn(
        tuple(f"{text}/{BITS[family_of(text)]}" for text in answered),
        tuple(TUNNELS[family] for family in BITS if family in families),
        {
            subnet: address
            for node in site.nodes
            for subnet in node.subnets
            for address in node.addresses
            if family_of(address) == family_of(subnet)
            and any(ip_interface(address).ip in each.network for each in networks)
        },
    )


def node_with(site: compiled.Site, links: Mapping[str, Collection[str]]) -> str:
    """Return the name of the node that has one of these addresses, "" for none."""
    own = {text.partition("/")[0] for each in links.values() for text in each}
    return next((node.name for node in site.nodes if own.intersection(node.addresses)), "")
