"""What firewalld or ufw of a node has to let through, as their own commands; pure.

docs/coexistence.md says why each is needed.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from groundplane.doctor import exposed
from groundplane.doctor.opening import (
    POLICY,
    UFW_FILES,
    balanced_ranges,
    firewalld_settings,
    ufw_insertion,
    ufw_rule,
)
from groundplane.kernel.owned import BRIDGE, OVERLAY
from groundplane.project.state import NodeBase
from groundplane.site import compiled


@dataclass(frozen=True)
class Openings:
    """Links whose traffic passes, and ports of the node itself: protocol in lower case, number.

    Where IPVS balances, services' *ranges* and *node_ports* pass input, too.
    """

    links: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    ranges: tuple[str, ...] = ()
    node_ports: tuple[tuple[str, int], ...] = ()


def openings(site: compiled.Site, base: NodeBase) -> Openings:
    """Return what has to pass on the node of *base*: all that services of *site* ask of it."""
    asked = exposed(site.services, base.addresses)
    ports = {("tcp", port) for port in asked.health_check_ports}
    ports |= {(each.protocol.lower(), each.port) for each in asked.host_ports}
    if base.overlay:
        ports.add(("udp", base.overlay.port))
    links = (BRIDGE, OVERLAY) if base.overlay else (BRIDGE,)
    if base.proxy_mode != "ipvs":
        return Openings(links, tuple(sorted(ports)))
    node_ports = tuple((protocol.lower(), number) for protocol, number in asked.node_ports)
    return Openings(links, tuple(sorted(ports)), balanced_ranges(base), node_ports)


def firewalld(wanted: Openings) -> Iterator[tuple[str, str]]:
    """Yield for each permanent setting the command that asks for it, and the one that makes it."""
    ask = "firewall-cmd --permanent"
    for link in wanted.links:
        zone = f"{ask} --zone=trusted"
        yield f"{zone} --query-interface={link}", f"{zone} --add-interface={link}"
    policy = f"{ask} --policy=groundplane"
    yield f"{ask} --get-policies | grep -qw groundplane", f"{ask} --new-policy=groundplane"
    yield f"{policy} --get-target | grep -qx ACCEPT", f"{policy} --set-target=ACCEPT"
    yield f"{policy} --query-ingress-zone=ANY", f"{policy} --add-ingress-zone=ANY"
    yield f"{policy} --query-egress-zone=trusted", f"{policy} --add-egress-zone=trusted"
    for protocol, port in wanted.ports:
        yield f"{ask} --query-port={port}/{protocol}", f"{ask} --add-port={port}/{protocol}"
    if wanted.ranges:
        yield from _firewalld_to_ipvs(wanted)


def _firewalld_to_ipvs(wanted: Openings) -> Iterator[tuple[str, str]]:
    ask = "firewall-cmd --permanent"
    yield f"{ask} --get-policies | grep -qw {POLICY}", f"{ask} --new-policy={POLICY}"
    for setting in firewalld_settings(wanted.ranges, wanted.node_ports):
        query = setting.replace("--add-", "--query-", 1)
        yield f"{ask} --policy={POLICY} {query}", f"{ask} --policy={POLICY} {setting}"


def firewalld_without_ipvs() -> Iterator[tuple[str, str]]:
    """Yield the same for letting nothing to IPVS."""
    ask = "firewall-cmd --permanent"
    yield f"! {ask} --get-policies | grep -qw {POLICY}", f"{ask} --delete-policy={POLICY}"


def ufw_to_ipvs() -> Iterator[tuple[str, str]]:
    """Yield for each file of ufw the command that asks for the rule for IPVS, and that adds it."""
    for file in UFW_FILES:
        yield _ufw_has(file), ufw_insertion(file)


def ufw_without_ipvs() -> Iterator[tuple[str, str]]:
    """Yield the same for having no such rule."""
    for file in UFW_FILES:
        yield f"! {_ufw_has(file)}", f"sed -i '\\|^{ufw_rule(file)}$|d' {file}"


def _ufw_has(file: str) -> str:
    return f"grep -qxF -e '{ufw_rule(file)}' {file}"


def ufw(wanted: Openings, added: Collection[str]) -> Iterator[str]:
    """Yield the commands whose rules are not among *added* (`ufw show added`)."""
    commands = []
    for link in wanted.links:
        commands += [f"ufw route allow in on {link}", f"ufw route allow out on {link}"]
        commands.append(f"ufw allow in on {link} to any port 53")
    commands += [f"ufw allow {port}/{protocol}" for protocol, port in wanted.ports]
    for command in commands:
        if command not in added:
            yield command


def firewalld_without(links: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the same for having nothing of *links* and no policy of ours; ports stay open."""
    ask = "firewall-cmd --permanent"
    yield f"! {ask} --get-policies | grep -qw groundplane", f"{ask} --delete-policy=groundplane"
    for link in links:
        zone = f"{ask} --zone=trusted"
        yield f"! {zone} --query-interface={link}", f"{zone} --remove-interface={link}"


def ufw_without(links: Collection[str], added: Collection[str]) -> Iterator[str]:
    """Yield the commands that delete those of the rules *added* that are about *links*."""
    for rule in added:
        words = rule.split()
        if any(link in words for link in links):
            verb = 2 if words[1] == "route" else 1
            yield " ".join((*words[:verb], "delete", *words[verb:]))
