"""How packets cross between nodes: the overlay a catalog needs, and its overhead. Pure."""

from groundplane.documents.catalog import Catalog
from groundplane.documents.machine import PORTS
from groundplane.documents.site import Node
from groundplane.net.mtu import DEFAULT_MTU
from groundplane.site import compiled


def compile_overlay(catalog: Catalog) -> compiled.Overlay | None:
    """Return the overlay of the Cluster, or None if all nodes reach each other without one."""
    overlay = catalog.cluster.spec.overlay
    if overlay.mode == "none":
        return None
    segments = {node.spec.segment for node in catalog.nodes.values()}
    if overlay.mode == "vxlan" and len(segments) < 2:
        return None
    return compiled.Overlay(overlay.mode, overlay.vni, overlay.port or PORTS[overlay.mode])


def uplink_mtu(catalog: Catalog, node: Node) -> int:
    """Return the MTU of *node*'s link to the others, as far as the catalog states it."""
    if node.spec.uplink is not None:
        return node.spec.uplink.mtu
    if node.spec.vm is not None:
        networks = catalog.hypervisors[node.spec.vm.hypervisor].spec.networks
        return next(each.mtu for each in networks if each.name == node.spec.vm.network)
    return DEFAULT_MTU
