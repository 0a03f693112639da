"""The packets that other rules must accept where IPVS balances. Pure.

Packets marked for IPVS pass input, whatever their source; packets that IPVS sends pass output;
answers pass forward. docs/decisions/0024-ipvs.md has a diagram of the path.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from groundplane.diagnosis.examples import Examples, sending
from groundplane.diagnosis.facts import Exposed
from groundplane.diagnosis.packet import KnownPacket
from groundplane.diagnosis.sample_packet import FROM_BRIDGE, SamplePacket
from groundplane.kernel import owned
from groundplane.kernel.owned import BRIDGE
from groundplane.project.state import NodeBase
from groundplane.proxies.ipvs.firewall import MARKED, firewalld_commands, ufw_command

# How a rule matches packets of each kind: in nft's syntax, then in iptables'.
_LABELLED: Final = (f"ct label {owned.IPVS_LABEL}", f"-m connlabel --label {owned.IPVS_LABEL}")
_ANSWERS: Final = ("ct state established,related", "-m conntrack --ctstate ESTABLISHED,RELATED")


def packets(base: NodeBase, of: Examples, exposed: Exposed) -> Iterator[SamplePacket]:
    """Yield the packets of services to and from IPVS, with external clients where allowed."""
    clients = bool(exposed.node_ports or exposed.addresses)
    firewalld, ufw = tuple(firewalld_commands(base, exposed)), (ufw_command(of.ip),)
    asking = KnownPacket(
        family=of.ip,
        protocol="tcp",
        source=of.own,
        destination=of.service,
        incoming=BRIDGE,
        port=80,
        local=False,
    )
    what = "workloads to services"
    marked = replace(asking, mark=owned.IPVS_MARK, label=owned.IPVS_LABEL)
    yield SamplePacket("prerouting", what, marked, FROM_BRIDGE, sending(of), early=asking)
    yield SamplePacket("input", what, marked, *MARKED)._replace(firewalld=firewalld, ufw=ufw)
    yield from _to_endpoints(of, replace(asking, port=8080, label=owned.IPVS_LABEL, mark=0))
    yield from _answers(of, clients=clients)
    if clients:
        what = "clients outside to services"
        entering = replace(marked, source=None, destination=None, incoming=of.uplink)
        yield SamplePacket("input", what, entering, *MARKED, outside=True)._replace(
            firewalld=firewalld, ufw=ufw
        )


def _to_endpoints(of: Examples, sent: KnownPacket) -> Iterator[SamplePacket]:
    what = "what IPVS sends to endpoints"
    leaving = replace(sent, destination=of.neighbour, incoming="", outgoing=BRIDGE)
    yield SamplePacket("output", what, leaving, *_LABELLED)
    if of.peer:
        far = replace(leaving, destination=of.peer_workload, outgoing=of.between)
        yield SamplePacket("output", what, far, *_LABELLED)


def _answers(of: Examples, *, clients: bool) -> Iterator[SamplePacket]:
    what = "answers of services' endpoints"
    near = KnownPacket(
        family=of.ip,
        protocol="tcp",
        source=of.neighbour,
        destination=of.own,
        incoming=BRIDGE,
        outgoing=BRIDGE,
        state="established",
        label=owned.IPVS_LABEL,
        local=False,
    )
    yield SamplePacket("forward", what, near, *_ANSWERS)
    if clients:
        to_client = replace(near, source=None, destination=None, incoming=of.uplink)
        passing = replace(to_client, outgoing=of.uplink)
        yield SamplePacket("forward", what, passing, *_ANSWERS, outside=True)
