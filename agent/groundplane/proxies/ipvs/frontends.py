"""Frontends that rules lead to IPVS, as map elements. Pure."""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.nftables.maps import Element, Elements, host32
from groundplane.kernel.owned import mark_of
from groundplane.net.address import family_of, pack
from groundplane.project.state import NodeBase, Part, VirtualPort, VirtualService
from groundplane.proxies.frontends import handle
from groundplane.proxies.frontends.maps import MAPS as FRONTENDS
from groundplane.proxies.frontends.render import frontend, of_family, render_service
from groundplane.proxies.ipvs.maps import MAPS

BALANCED: Final = 1  # the class of a handle: by IPVS
_FRONTENDS: Final = {m.code for f in FRONTENDS.values() for m in (f.cluster_ips, f.external_ips)}


def render_frontends(base: NodeBase, part: Part) -> Elements:
    """Return the elements of *part*: element to data."""
    if isinstance(part, VirtualService):
        return render_service(base, part, _draw, _add)
    return {}


def _draw(_base: NodeBase, _service: VirtualService, slots: int) -> int:
    return BALANCED if slots else handle.REFUSE


def _add(
    elements: Elements,
    service: VirtualService,
    port: VirtualPort,
    address: str,
    inside: int,
    cluster: int,
    _local: int,
) -> None:
    """Add the elements that lead a port's packets to IPVS, at the cluster IP *address* and from
    outside."""
    family = family_of(address)
    if service.external_local:
        # How IPVS finds the pool of all endpoints if the address stands for this node's only.
        pool = host32(handle.pool_of(cluster))
        elements[FRONTENDS[family].handles.prefix + pool] = host32(cluster)
        elements[MAPS[family].marks.prefix + pool] = host32(mark_of(port.protocol, port.pool))
    if service.forwarding != "masquerading":
        outside = of_family(service.external_ips + service.load_balancer_ips, family)
        _add_untranslated(elements, port, (address,), inside)
        _add_untranslated(elements, port, outside, cluster)


def _add_untranslated(
    elements: Elements, port: VirtualPort, addresses: Iterable[str], way: int
) -> None:
    """Add the frontends that IPVS forwards untranslated, if the handle *way* leads to IPVS.

    Conntrack, which does not see the answers, must not see these packets either.
    """
    if way & handle.CLASS_MASK != BALANCED:
        return
    for address in addresses:
        maps, packed = MAPS[family_of(address)], pack(address)
        elements[maps.untranslated.prefix + packed + frontend(port.protocol, port.port)] = b""
        elements[maps.untranslated_addresses.prefix + packed] = b""


def leads_to_ipvs(delta: Delta[Element, bytes]) -> bool:
    """Return whether *delta* creates a frontend that leads to IPVS."""
    return any(
        element[0] in _FRONTENDS
        and int.from_bytes(data, sys.byteorder) & handle.CLASS_MASK == BALANCED
        for element, data in _written(delta)
    )


def _written(delta: Delta[Element, bytes]) -> Iterator[tuple[Element, bytes]]:
    updates = ((element, new) for element, (_, new) in delta.update.items())
    return chain(delta.create.items(), updates)
