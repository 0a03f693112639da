"""Foreign filters that drop packets which must pass this node. Pure.

A packet passes a hook only if every chain there accepts it: an accept in one chain does not stop
another from dropping it, and our chains cannot accept packets on behalf of others.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from groundplane.diagnosis import ufw
from groundplane.diagnosis.facts import Exposed, Facts, Finding
from groundplane.diagnosis.ruleset import ListedChain, Ruleset
from groundplane.diagnosis.sample_packet import SamplePacket
from groundplane.diagnosis.translated import TRANSLATED
from groundplane.doctor.sample_packets import probes
from groundplane.doctor.trace import final_verdict, outcomes
from groundplane.kernel.owned import BRIDGE
from groundplane.project.state import NodeBase


class Owner(Enum):
    """The program that writes a chain; it determines how to add a persistent rule."""

    HAND = "hand"
    IPTABLES = "iptables"
    DOCKER = "docker"
    FIREWALLD = "firewalld"
    UFW = "ufw"


class Drop(NamedTuple):
    """A chain and what it drops; *doubtful* if a rule that cannot be evaluated may accept it."""

    chain: ListedChain
    probes: tuple[SamplePacket, ...]
    by_policy: bool
    doubtful: bool


def owner(ruleset: Ruleset, chain: ListedChain) -> Owner:
    """Return who writes *chain*, told by the names in its table."""
    family, table, name = chain.key
    if table == "firewalld":
        return Owner.FIREWALLD
    if family in ("ip", "ip6") and table in ("filter", "mangle", "raw", "security"):
        names = ruleset.names(family, table)
        if name == "FORWARD" and "DOCKER-USER" in names:
            return Owner.DOCKER
        if any(each.startswith(("ufw-", "ufw6-")) for each in names):
            return Owner.UFW
        if name.isupper():
            return Owner.IPTABLES
    return Owner.HAND


def drops(ruleset: Ruleset, tried: Sequence[SamplePacket]) -> Iterator[Drop]:
    """Yield the foreign chains that drop some of *tried*; possible drops are listed separately."""
    for chain in ruleset.base_chains("filter", "prerouting", "input", "forward", "output"):
        lost: dict[bool, list[tuple[SamplePacket, bool]]] = {False: [], True: []}
        for probe in tried:
            packet = probe.at(chain.priority)
            if probe.hook != chain.hook or packet.ip_family not in chain.families:
                continue
            ways = list(outcomes(ruleset, chain, packet))
            end = final_verdict(ways)
            if end.verdict == "drop":
                doubtful = any(each.verdict == "accept" for each in ways)
                lost[doubtful].append((probe, end.rule is None))
        for doubtful, found in lost.items():
            if found:
                by_policy = any(policy for _, policy in found)
                yield Drop(chain, tuple(probe for probe, _ in found), by_policy, doubtful)


def filters(base: NodeBase, facts: Facts, exposed: Exposed, ruleset: Ruleset) -> Iterator[Finding]:
    """Yield a finding for each foreign chain that drops required traffic."""
    for loss in drops(ruleset, probes(base, facts, exposed)):
        families = " and ".join(sorted({each.packet.ip_family for each in loss.probes}))
        whats = "; ".join(dict.fromkeys(each.what for each in loss.probes))
        how = "by its policy drop" if loss.by_policy else "by a drop or reject rule"
        verb = "may drop" if loss.doubtful else "drops"
        minor = loss.doubtful or all(each.outside for each in loss.probes)
        yield Finding(
            "warning" if minor else "error",
            str(loss.chain),
            f"It {verb} {families} {how}: {whats}.",
            _remedy(owner(ruleset, loss.chain), loss),
        )
    yield from _bridged(facts, ruleset, probes(base, facts, exposed))


def _bridged(facts: Facts, ruleset: Ruleset, tried: Sequence[SamplePacket]) -> Iterator[Finding]:
    """Yield where br_netfilter sends frames between ports of a bridge through a forward chain."""
    for family, sysctl in (
        ("IPv4", "net/bridge/bridge-nf-call-iptables"),
        ("IPv6", "net/bridge/bridge-nf-call-ip6tables"),
    ):
        if facts.number(sysctl) != 1:
            continue
        through = [
            each
            for each in tried
            if each.packet.incoming == each.packet.outgoing == BRIDGE
            and each.packet.ip_family == family
        ]
        for loss in drops(ruleset, through):
            if loss.chain.policy != "drop" or loss.doubtful:
                continue
            name = sysctl.replace("/", ".")
            yield Finding(
                "warning",
                f"sysctl {name}",
                f"Frames that bridges of this node pass from port to port, as those of VMs, go "
                f"through {loss.chain} too, which drops {family} that no rule of it accepts.",
                f"Have that chain accept what bridges pass, or run `sysctl -w {name}=0`.",
            )


# ------------------------------------------------------------------------------------------------


def _remedy(by: Owner, loss: Drop) -> str:
    if by is Owner.FIREWALLD:
        return _by_firewalld(loss)
    if by is Owner.UFW:
        return _by_ufw(loss)
    if by is Owner.HAND:
        return _by_nft(loss)
    chain = "DOCKER-USER" if by is Owner.DOCKER else loss.chain.key[2]
    return _by_iptables(loss, chain)


def _run(commands: Sequence[str]) -> str:
    quoted = [f"`{each}`" for each in dict.fromkeys(commands)]
    *most, last = quoted
    return f"Run {', '.join(most)} and {last}" if most else f"Run {last}"


def _by_nft(loss: Drop) -> str:
    family, table, chain = loss.chain.key
    # In front of all rules: behind the last one nothing may be reached any more.
    commands = [
        f"nft insert rule {family} {table} {chain} {each.nft} accept" for each in loss.probes
    ]
    return f"{_run(commands)}, and add the rules where that table is written."


def _by_iptables(loss: Drop, chain: str) -> str:
    table = "" if loss.chain.key[1] == "filter" else f"-t {loss.chain.key[1]} "
    command = "iptables" if loss.chain.key[0] == "ip" else "ip6tables"
    commands = [f"{command} {table}-I {chain} {each.iptables} -j ACCEPT" for each in loss.probes]
    again = " and each start of Docker" if chain == "DOCKER-USER" else ""
    return f"{_run(commands)}, and have that done after each boot{again}."


_TRUSTED = (f"firewall-cmd --permanent --zone=trusted --add-interface={BRIDGE}",)
# The zone says what comes from the bridge; what goes to it takes a policy (firewalld 0.9).
_POLICY = (
    "firewall-cmd --permanent --new-policy=groundplane",
    "firewall-cmd --permanent --policy=groundplane --set-target=ACCEPT",
    "firewall-cmd --permanent --policy=groundplane --add-ingress-zone=ANY",
    "firewall-cmd --permanent --policy=groundplane --add-egress-zone=trusted",
)


def _by_firewalld(loss: Drop) -> str:
    commands: list[str] = []
    for probe in loss.probes:
        if probe.firewalld:
            commands += probe.firewalld
        elif probe.hook == "forward" and probe.packet.incoming == probe.packet.outgoing != BRIDGE:
            zone = f"$(firewall-cmd --get-zone-of-interface={probe.packet.incoming})"
            commands.append(f"firewall-cmd --permanent --zone={zone} --add-forward")
            continue
        elif probe.hook == "input" and probe.packet.incoming != BRIDGE:
            port = f"{probe.packet.port}/{probe.packet.protocol}"
            commands.append(f"firewall-cmd --permanent --add-port={port}")
        else:
            commands += _TRUSTED
        if probe.hook == "forward" and probe.packet.incoming != BRIDGE:
            commands += _POLICY
    return _run([*commands, "firewall-cmd --reload"]) + "."


def _by_ufw(loss: Drop) -> str:
    commands: list[str] = []
    for probe in loss.probes:
        packet = probe.packet
        if probe.ufw:
            commands += probe.ufw
        elif probe.hook == "forward" and packet.incoming == BRIDGE:
            commands.append(f"ufw route allow in on {BRIDGE}")
        elif probe.hook == "forward" and packet.outgoing == BRIDGE:
            commands.append(f"ufw route allow out on {BRIDGE}")
        elif probe.hook == "forward":
            line = ufw.rule(packet.family, "forward", TRANSLATED[1])
            commands.append(ufw.insertion(packet.family, line))
        elif probe.hook == "output" and packet.outgoing == BRIDGE:
            commands.append(f"ufw allow out on {BRIDGE}")
        elif probe.hook == "output":
            commands.append(f"ufw allow out {packet.port}/{packet.protocol}")
        elif packet.incoming == BRIDGE:
            port = f" to any port {packet.port}" if packet.port else ""
            commands.append(f"ufw allow in on {BRIDGE}{port}")
        else:
            commands.append(f"ufw allow {packet.port}/{packet.protocol}")
    if any(command.startswith("sed ") for command in commands):
        commands.append("ufw reload")
    return _run(commands) + "."
