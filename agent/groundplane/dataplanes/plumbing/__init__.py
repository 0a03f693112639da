"""The node's plumbing in nftables: what every node needs in any proxy mode.

Anti-spoofing on the workloads' bridge, hairpin and egress masquerading, access to the name server,
unused addresses, and segment sizes. See README.md here.
"""

from groundplane.dataplanes.plumbing.rules import PLUMBING

__all__ = ["PLUMBING"]
