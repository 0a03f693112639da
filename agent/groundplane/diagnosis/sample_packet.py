"""A packet that has to pass a node, and the words of rules that accept it. Pure."""

from typing import Final, Literal, NamedTuple

from groundplane.diagnosis.facts import HostPort
from groundplane.diagnosis.packet import KnownPacket
from groundplane.kernel.owned import BRIDGE, TRANSLATED_AT

PacketHook = Literal["prerouting", "input", "forward", "output"]


class SamplePacket(NamedTuple):
    """A packet that has to pass *hook*, and what accepts it.

    *what* tells the traffic. *nft* is what a rule of nft says to accept it, *iptables* what one
    of iptables says. *early* is the packet in chains that come before our translation. *outside*
    marks what has an end outside of the site, which an operator may mean to keep out. *firewalld*
    and *ufw* are the commands that open them, where that is not told by the packet.
    """

    hook: PacketHook
    what: str
    packet: KnownPacket
    nft: str
    iptables: str
    early: KnownPacket | None = None
    outside: bool = False
    firewalld: tuple[str, ...] = ()
    ufw: tuple[str, ...] = ()

    def at(self, priority: int) -> KnownPacket:
        """Return the packet as a chain of *priority* at the hook sees it."""
        return self.early if self.early and priority < TRANSLATED_AT else self.packet


# What a rule says of traffic that comes from or goes to the bridge, in the words of nft.
FROM_BRIDGE: Final = f"iifname {BRIDGE}"
TO_BRIDGE: Final = f"oifname {BRIDGE}"


def to_host_port(family: Literal["ip", "ip6"], to: HostPort) -> SamplePacket:
    """Return what a service sends to an endpoint on the node's own network; from where is left open."""
    protocol, port = to.protocol.lower(), to.port
    packet = KnownPacket(
        family=family,
        protocol=protocol,
        source=None,
        destination=to.address,
        port=port,
        local=True,
    )
    what = f"services to port {port} of this node"
    accepting = f"{protocol} dport {port}", f"-p {protocol} --dport {port}"
    return SamplePacket("input", what, packet, *accepting)
