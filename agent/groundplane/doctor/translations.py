"""Foreign rules that see a service's packets before ours, or that use what we own. Pure.

The first chain of type nat that translates a connection's packet decides, by priority; ours are
at -100 in prerouting and output.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from groundplane.diagnosis.examples import Examples, examples
from groundplane.diagnosis.facts import Exposed, Facts, Finding
from groundplane.diagnosis.packet import KnownPacket
from groundplane.diagnosis.ruleset import ChainKey, ListedChain, Ruleset
from groundplane.doctor.trace import Traced, outcomes
from groundplane.kernel.owned import BRIDGE, TRANSLATED_AT
from groundplane.net.address import family_of
from groundplane.project.state import NodeBase

_TRACKED_AT = -200  # the priority of conntrack: `notrack` works before it

# Ports that proxies and name servers take for themselves, and one that nobody is known to take.
_PORTS = (("tcp", 80), ("tcp", 443), ("udp", 53), ("tcp", 53), ("tcp", 54321))


def translations(
    base: NodeBase, facts: Facts, exposed: Exposed, ruleset: Ruleset
) -> Iterator[Finding]:
    """Yield a finding for each foreign chain that prevents our translation."""
    asked = [each for of in examples(base, facts) for each in _entering(of, exposed)]
    for chain in ruleset.base_chains("nat", "prerouting", "output"):
        if chain.priority > TRANSLATED_AT:
            continue
        met = list(_met(ruleset, chain, asked, "translate"))
        if met:
            order = "before ours" if chain.priority < TRANSLATED_AT else "beside ours"
            sure = any(each.certain for _, each in met)
            yield Finding(
                "error" if sure else "warning",
                str(chain),
                f"It is asked {order} and {'translates' if sure else 'may translate'} "
                f"{_listed(met)}: connections to it go elsewhere than to the service.",
                "Let the rule leave out what is ours, or give the service or the other program "
                f"another port; `nft -a list chain {' '.join(_place(met))}` shows the rule.",
            )
    for chain in ruleset.base_chains("filter", "prerouting", "output"):
        if chain.priority >= _TRACKED_AT:
            continue
        met = [each for each in _met(ruleset, chain, asked, "notrack") if each[1].certain]
        if met:
            rules = {each.rule.handle: each.rule for _, each in met if each.rule}
            deletions = "; ".join(
                f"delete rule {' '.join(rule.chain)} handle {handle}"
                for handle, rule in sorted(rules.items())
            )
            yield Finding(
                "error",
                str(chain),
                f"It keeps {_listed(met)} from being tracked (notrack), and what is not tracked "
                "is not translated: it reaches no endpoint.",
                f"Run `nft '{deletions}'`, or let the rule leave out the service ranges "
                f"{', '.join(base.service_cidrs)}.",
            )


AskedPacket = tuple[str, str, bool, KnownPacket]


def _met(
    ruleset: Ruleset, chain: ListedChain, asked: list[AskedPacket], verdict: str
) -> Iterator[tuple[str, Traced]]:
    """Yield each of *asked* that meets *verdict* in *chain*, and its trace."""
    for hook, what, certain_only, packet in asked:
        if hook != chain.hook or packet.ip_family not in chain.families:
            continue
        for each in outcomes(ruleset, chain, packet):
            if each.verdict == verdict and (each.certain or not certain_only):
                yield what, each


def _place(met: list[tuple[str, Traced]]) -> ChainKey:
    """Return the chain of the first rule in *met*."""
    return next(each.rule.chain for _, each in met if each.rule)


def _listed(met: list[tuple[str, Traced]]) -> str:
    return ", ".join(dict.fromkeys(what for what, _ in met))


def _entering(of: Examples, exposed: Exposed) -> Iterator[AskedPacket]:
    """Yield hook, name and packet of all traffic that our translation must see first.

    The third says that only a rule that matches for certain is of interest: what a rule for a
    port that another program publishes says beyond the port cannot always be read, and service
    addresses are not what it is about.
    """
    first = KnownPacket(
        family=of.ip, protocol="tcp", source=None, destination=of.service, local=False
    )
    places: list[tuple[str, str, bool | None]] = [("service addresses", of.service, False)]
    places += [
        (address, address, None)  # it may be on an interface, or only be routed here
        for address in exposed.addresses
        if family_of(address) == of.family
    ]
    for name, address, local in places:
        for protocol, port in _PORTS:
            packet = replace(first, protocol=protocol, destination=address, port=port, local=local)
            for hook, way in _ways(of, packet):
                yield hook, f"{name} port {port}/{protocol.upper()}", True, way
    for protocol, port in exposed.node_ports:
        packet = replace(
            first, protocol=protocol.lower(), destination=of.node, port=port, local=True
        )
        for hook, way in _ways(of, packet):
            yield hook, f"node port {port}/{protocol}", False, way


def _ways(of: Examples, packet: KnownPacket) -> Iterator[tuple[str, KnownPacket]]:
    """Yield the hooks where *packet* enters, from outside, from a workload, and from the node."""
    yield "prerouting", replace(packet, incoming=of.uplink)
    yield "prerouting", replace(packet, incoming=BRIDGE, source=of.own)
    yield "output", replace(packet, outgoing=BRIDGE, source=of.node)
