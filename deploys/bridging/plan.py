"""From what a host is to be, and what it is, to the change of its network; pure."""

from collections.abc import Iterable, Mapping

from deploys.bridging import networkd
from deploys.bridging.change import Change
from deploys.bridging.errors import BridgeError
from deploys.bridging.wanted import Bridge, uplinks_of
from deploys.facts.bridging import Link, Managers


def manager_of(found: Managers, uplinks: Iterable[str]) -> str:
    """Return what configures the *uplinks*: networkd, ifupdown or netplan; BridgeError for others."""
    if found.netplan:
        return "netplan"
    declared = [name for name in uplinks if _declares(found.interfaces.values(), name)]
    if declared:
        return "ifupdown"
    if found.networkd_runs:
        return "networkd"
    if found.network_manager_runs:
        raise BridgeError(
            "NetworkManager configures the network here: bridges are made for systemd-networkd, "
            "ifupdown and netplan"
        )
    raise BridgeError("neither systemd-networkd nor ifupdown nor netplan configures the network")


def plan(
    bridges: tuple[Bridge, ...],
    links: Mapping[str, Link],
    found: Managers,
    there: Iterable[str],
) -> Change:
    """Return the change that makes *bridges*, where *there* are the absolute paths of files there."""
    missing = [each.name for each in uplinks_of(bridges) if each.name not in links]
    if missing:
        raise BridgeError(f"there is no NIC {', '.join(missing)}: {_names(links)}")
    manager = manager_of(found, [uplink.name for uplink in uplinks_of(bridges)])
    if manager != "networkd":
        raise BridgeError(f"{manager} configures the network here, which is not known yet")
    macs = {name: link.mac for name, link in links.items()}
    wanted = networkd.files(bridges, macs, found.networkd)
    stale = [path for path in there if networkd.is_ours(path) and path not in wanted]
    made = {networkd.link_of(path) for path in stale}
    return Change(
        manager=manager,
        bridges=bridges,
        files={**wanted, **dict.fromkeys(stale)},
        removed=tuple(sorted(name for name in made if name)),
    )


def _declares(texts: Iterable[str], name: str) -> bool:
    lines = (line.split() for text in texts for line in text.splitlines())
    return any(words[:2] == ["iface", name] for words in lines)


def _names(links: Mapping[str, Link]) -> str:
    return "there are " + ", ".join(sorted(name for name in links if name != "lo"))
