"""All names and numbers that are ours in a kernel, each with its reason. Pure.

Renderers, templates, the doctor, the clean-up and the support bundle take them from here, and
docs/architecture.md lists them under "Ownership". A changed value means another owner: the agent no
longer recognizes the objects of an earlier version.
"""

from typing import Final

from groundplane.net.protocols import Protocol

# ---- nftables ----

TABLE: Final = "groundplane"  # of ip, ip6 and bridge: the node's plumbing, whatever its proxy mode
SERVICES_TABLE: Final = "groundplane-services"  # of ip and ip6: the handling of services' packets
IPVS_TABLE: Final = "groundplane-ipvs"  # of ip and ip6; exists if marked packets are led to IPVS

# Priorities of our chains at a hook; nft has names for some: 0 (filter), -100 (dstnat) and so on.
TRANSLATED_AT: Final = -100  # with kube-proxy's and Docker's: the first that translates decides
MISSED_AT: Final = -99  # after these: packets missed while tables are replaced
MASQUERADED_AT: Final = 99  # services' connections, before the plumbing's own rules at srcnat (100)
GUARDED_AT: Final = -310  # before br_netfilter shows a frame to IP's own rules, and before raw
IPVS_LED_AT: Final = -110  # after conntrack, before addresses are translated
IPVS_REFUSED_AT: Final = 110  # after IPVS, which takes packets at 98 and 99 of input
IPVS_LEFT_AT: Final = -90  # behind the translation of what the node sends

# ---- a packet, and its connection ----

# A mark that leads to IPVS, the whole of it, is these ten bits, the protocol of a pool and its number:
#
#     31        22  21  20  19              0
#     0100011101  | proto | pool (20 bits)
#
# Without protocol and pool, IPVS goes by the address that the packet has.
IPVS_MARK: Final = 0x47400000
IPVS_MARK_MASK: Final = 0xFFC00000
MARK_PROTOCOL_MASK: Final = 3 << 20
MARK_PROTOCOLS: Final[dict[Protocol, int]] = {"TCP": 1 << 20, "UDP": 2 << 20, "SCTP": 3 << 20}
# Bits of the conntrack label: Calico and kube-router use marks, Open vSwitch the first 8 labels.
MASQUERADED_LABEL: Final = 14  # the connection leaves masqueraded
IPVS_LABEL: Final = 15  # the connection was given to IPVS
# Source ports of masqueraded connections where IPVS balances: no node's own sockets use them.
MASQUERADE_PORTS: Final = (1024, 29999)

# ---- routes and links ----

ROUTE_PROTOCOL: Final = 71  # of our routes and rules: "groundplane" in /etc/iproute2/rt_protos.d
IPVS_ROUTES: Final = 7071  # the routing table that makes addresses of services local
IPVS_RULE: Final = 471  # the priority of the policy rule that leads there, before main's 32766
LINKS: Final = "groundplane"  # prefix of our links' names
BRIDGE: Final = "groundplane0"  # of every node's workloads
OVERLAY: Final = "groundplane1"  # where packets to other nodes' workloads go in tunnels
WORKLOAD_LINKS: Final = "gpw"  # prefix of the host's ends of workloads' links


def is_our_table(name: str) -> bool:
    """Return whether a table *name* of nftables is ours, of this version or of another one."""
    return name == TABLE or name.startswith(f"{TABLE}-")


def mark_of(protocol: Protocol, pool: int) -> int:
    """Return the mark that leads to the virtual server of *pool*."""
    return IPVS_MARK | MARK_PROTOCOLS[protocol] | pool
