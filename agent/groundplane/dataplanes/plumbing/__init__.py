"""The node's plumbing in nftables: what every node needs, whatever leads services to endpoints.

The guard of the workloads' bridge, hairpin and egress masquerading, who may ask the name server,
addresses that nobody has, and segment sizes. See README.md here.
"""

from groundplane.dataplanes.plumbing.rules import PLUMBING

__all__ = ["PLUMBING"]
