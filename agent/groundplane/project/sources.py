"""Sources that may reach a service's load-balancer addresses, as one node sees them. Pure."""

from groundplane.net.address import BITS, contains, family_of
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase, VirtualService


def allowed_sources(base: NodeBase, service: VirtualService, family: Family) -> list[str]:
    """Return the ranges of *family* that loadBalancerSourceRanges allows.

    A node that has a load-balancer address itself uses it as its source address, so that address is
    allowed if the ranges include the node (kube-proxy: allowFromNode).
    """
    ranges = [cidr for cidr in service.source_ranges if family_of(cidr) == family]
    if any(contains(cidr, text) for cidr in ranges for text in base.addresses):
        balanced = (text for text in service.load_balancer_ips if family_of(text) == family)
        ranges += [f"{text}/{BITS[family]}" for text in balanced]
    return ranges
