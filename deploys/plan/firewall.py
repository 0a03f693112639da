"""What firewalld or ufw of a node has to let through, as their own commands; pure.

docs/coexistence.md says why each is needed.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from groundplane.deploy_api import BRIDGE, OVERLAY, NodeBase, compiled, exposed, proxies
from groundplane.deploy_api import Openings as OfModes

_NOTHING: Final = OfModes()


@dataclass(frozen=True)
class Openings:
    """Links whose traffic passes, and ports of the node itself: protocol in lower case, number.

    *of_modes* is what proxy modes need besides, and no longer need.
    """

    links: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    of_modes: OfModes = _NOTHING


def openings(site: compiled.Site, base: NodeBase) -> Openings:
    """Return what has to pass on the node of *base*: all that services of *site* ask of it."""
    asked = exposed(site.services, base.addresses)
    ports = {("tcp", port) for port in asked.health_check_ports}
    ports |= {(each.protocol.lower(), each.port) for each in asked.host_ports}
    if base.overlay:
        ports.add(("udp", base.overlay.port))
    links = (BRIDGE, OVERLAY) if base.overlay else (BRIDGE,)
    of_modes = (
        each.openings(base, asked) if each.name == base.proxy_mode else each.no_openings()
        for each in proxies()
    )
    return Openings(links, tuple(sorted(ports)), _joined(of_modes))


def without_modes() -> OfModes:
    """Return what takes away all that proxy modes need."""
    return _joined(each.no_openings() for each in proxies())


def _joined(openings: Iterable[OfModes]) -> OfModes:
    found = tuple(openings)
    return OfModes(
        tuple(setting for each in found for setting in each.firewalld),
        tuple(setting for each in found for setting in each.ufw),
    )


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
    yield from wanted.of_modes.firewalld


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
