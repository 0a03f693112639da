"""A packet that must pass a node, and the rules that accept it. Pure."""

from typing import Final, Literal, NamedTuple

from groundplane.diagnosis.facts import HostPort
from groundplane.diagnosis.packet import KnownPacket
from groundplane.kernel.owned import BRIDGE, TRANSLATED_AT

PacketHook = Literal["prerouting", "input", "forward", "output"]


class SamplePacket(NamedTuple):
    """A packet that must pass *hook*, and the rules that accept it.

    *what* describes the traffic. *nft* and *iptables* are the matches of a rule that accepts it.
    *early* is the packet in chains before our translation. *outside* marks traffic with an end
    outside the site, which an operator may block on purpose. *firewalld* and *ufw* are the commands
    that open them, if these do not follow from the packet.
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


# nft matches for traffic from or to the bridge.
FROM_BRIDGE: Final = f"iifname {BRIDGE}"
TO_BRIDGE: Final = f"oifname {BRIDGE}"


def to_host_port(family: Literal["ip", "ip6"], to: HostPort) -> SamplePacket:
    """Return a packet from a service to an endpoint on the node's own network, from any source."""
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
