"""The service to elements of the frontends' maps: from address, protocol and port to a handle. Pure."""

from collections.abc import Callable, Iterable, Iterator

import netaddr

from groundplane.dataplanes.nftables.maps import Elements, host32
from groundplane.net.address import family_of, pack
from groundplane.net.protocols import NUMBERS, Family, Protocol
from groundplane.project.sources import allowed_sources
from groundplane.project.state import NodeBase, Targets, VirtualPort, VirtualService
from groundplane.proxies.frontends import handle
from groundplane.proxies.frontends.maps import MAPS
from groundplane.site.map_sizes import RANGE_STEP

_PROTOCOLS = {name: bytes((number, 0, 0, 0)) for name, number in NUMBERS.items()}
_PAD = bytes(2)

Draw = Callable[[NodeBase, VirtualService, int], int]
"""Return the part of a handle that says how to draw one of the given number of slots."""
Add = Callable[[Elements, VirtualService, VirtualPort, str, int, int, int], None]
"""Add a mode's own elements for a port at a cluster IP.

The handles are those of the cluster IP itself, of the pool of all endpoints, and of the pool of
this node's endpoints; the last is 0 if no policy is Local.
"""


def render_service(base: NodeBase, service: VirtualService, draw: Draw, add: Add) -> Elements:
    """Return the elements of *service*: element to data."""
    elements: Elements = {}
    outside_ips = service.external_ips + service.load_balancer_ips
    for address in outside_ips:
        if address not in service.shared:  # else the other service's part has it
            elements[MAPS[family_of(address)].service_addresses.prefix + pack(address)] = b""
    for address in service.cluster_ips:  # one of each family
        family, packed = family_of(address), pack(address)
        maps = MAPS[family]
        elements[maps.service_addresses.prefix + packed] = b""
        cluster_ips = maps.cluster_ips.prefix + packed
        for port in service.ports:
            targets, pool = port.targets(family), port.pool << handle.POOL_BITS
            cluster, local = _handles(base, service, targets, pool, draw)
            inside = local if service.internal_local else cluster
            elements[cluster_ips + frontend(port.protocol, port.port)] = host32(inside)
            if outside_ips or port.node_port:
                outside = local | handle.LOCAL if service.external_local else cluster
                _add_outside(elements, base, service, port, family, outside)
            add(elements, service, port, address, inside, cluster, local)
    return elements


def frontend(protocol: Protocol, number: int) -> bytes:
    """Return the part of a frontend's key that follows the address."""
    return _PROTOCOLS[protocol] + number.to_bytes(2, "big") + _PAD


def _handles(
    base: NodeBase, service: VirtualService, targets: Targets, pool: int, draw: Draw
) -> tuple[int, int]:
    """Return the handles of the even and the odd pool; the latter is 0 if no policy is Local.

    The odd pool rejects if the service has no endpoint, and drops if only other nodes have some.
    """
    cluster = pool | draw(base, service, targets.slots)
    if not (service.internal_local or service.external_local):
        return cluster, 0
    local = draw(base, service, targets.local_slots)
    if targets.joined_cluster and not targets.joined_local:
        local = handle.DROP
    return cluster, pool | handle.LOCAL_POOL | local


def _add_outside(
    elements: Elements,
    base: NodeBase,
    service: VirtualService,
    port: VirtualPort,
    family: Family,
    way: int,
) -> None:
    """Add the frontends for external traffic: external and load-balancer IPs, and the node port."""
    prefix, at = MAPS[family].external_ips.prefix, frontend(port.protocol, port.port)
    for address in of_family(service.external_ips, family):
        elements[prefix + pack(address) + at] = host32(way)
    if port.node_port:
        for address in of_family(base.addresses, family):
            key = prefix + pack(address) + frontend(port.protocol, port.node_port)
            elements[key] = host32(way)
    ranges = allowed_sources(base, service, family) if service.source_ranges else []
    balanced = list(of_family(service.load_balancer_ips, family))
    if balanced and service.source_ranges and not any(each.endswith("/0") for each in ranges):
        way |= handle.RESTRICTED
        for key in _ranges(ranges, port.pool << handle.POOL_BITS):
            elements[MAPS[family].source_ranges.prefix + key] = b""
    for address in balanced:
        elements[prefix + pack(address) + at] = host32(way)


def of_family(texts: Iterable[str], family: Family) -> Iterator[str]:
    return (text for text in texts if family_of(text) == family)


def _ranges(texts: Iterable[str], pool: int) -> Iterator[bytes]:
    """Yield the keys of source ranges; each range is split into those of the next stored length."""
    for text in texts:
        found = netaddr.IPNetwork(text)
        length = -(-found.prefixlen // RANGE_STEP) * RANGE_STEP
        for part in found.subnet(length):
            yield host32(pool | length) + part.network.packed
