"""Which virtual servers are ours, so that a restarted agent knows them. Pure."""

from collections.abc import Callable

from groundplane.kernel import owned
from groundplane.net.address import first_last, pack
from groundplane.project.state import NodeBase
from groundplane.proxies.ipvs.objects import ServerKey, server_of


def owner(base: NodeBase) -> Callable[[ServerKey], bool]:
    """Return a predicate: whether the virtual server with a key is ours.

    Ours are all servers at an address of the site's service and external ranges, at a node port of
    this node's addresses, or with one of our marks.
    """
    ranges = [
        (*first_last(cidr), 16 if ":" in cidr else 4)
        for cidr in base.service_cidrs + base.external_cidrs
    ]
    here = set(map(pack, base.addresses))
    low, high = base.node_ports

    def is_ours(key: ServerKey) -> bool:
        address, port = key[4:], int.from_bytes(key[2:4])
        if not key[1]:
            return server_of(key).mark & owned.IPVS_MARK_MASK == owned.IPVS_MARK
        number, width = int.from_bytes(address), len(address)
        if any(first <= number <= last and bits == width for first, last, bits in ranges):
            return True
        return address in here and low <= port <= high

    return is_ours
