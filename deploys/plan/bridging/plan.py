"""From what a host is to be, and what it is, to the change of its network; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from groundplane_deploys.plan.bridging import cloud_init, ifupdown, netplan, networkd
from groundplane_deploys.plan.bridging.change import Change, Made
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.found import Link, Managers
from groundplane_deploys.plan.bridging.wanted import Bridge, uplinks_of


def manager_of(found: Managers, uplinks: Iterable[str]) -> str:
    """Return the manager of *uplinks*: networkd, ifupdown or netplan; BridgeError for others."""
    if found.netplan:
        return "netplan"
    declared = [name for name in uplinks if _declares(found.interfaces.values(), name)]
    if declared or (found.interfaces and not found.networkd_runs):
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
    """Return the change that makes *bridges*; *there* are the paths of networkd's files."""
    uplinks = [uplink.name for uplink in uplinks_of(bridges)]
    if missing := [name for name in uplinks if name not in links]:
        raise BridgeError(f"there is no NIC {', '.join(missing)}: {_names(links)}")
    manager = manager_of(found, uplinks)
    macs = {name: link.mac for name, link in links.items()}
    if manager == "netplan":
        defining = _texts(found.netplan, netplan.defining(bridges, macs, found.netplan))
        wanted = netplan.files(bridges, macs, found.netplan)
        made = {netplan.PATH: netplan.links_of(found.netplan.get(netplan.PATH, ""))}
        ours = made.keys() & found.netplan.keys()
    elif manager == "ifupdown":
        defining = _texts(found.interfaces, ifupdown.defining(bridges, found.interfaces))
        wanted = ifupdown.files(bridges, macs, found.interfaces)
        made = {ifupdown.PATH: ifupdown.links_of(found.interfaces.get(ifupdown.PATH, ""))}
        ours = made.keys() & found.interfaces.keys()
    else:
        defining = {}  # our files come before those of cloud-init, which stay as they are
        wanted = networkd.files(bridges, macs, found.networkd)
        made = {path: networkd.links_of(path) for path in there if networkd.is_ours(path)}
        ours = {*made}
    if any(uplink.bridge for uplink in uplinks_of(bridges)):
        wanted |= cloud_init.files(defining, found.cloud_config, runs=found.cloud_init_runs)
    ours |= {cloud_init.PATH} & found.cloud_config.keys()
    stale = sorted(ours - wanted.keys())
    change = _change(manager, bridges, {**wanted, **dict.fromkeys(stale)})
    before = {name for names in made.values() for name in names}
    return replace(change, removed=tuple(sorted(before - {each.name for each in change.made})))


def _change(manager: str, bridges: tuple[Bridge, ...], files: Mapping[str, str | None]) -> Change:
    uplinks = uplinks_of(bridges)
    # VLANs come before the bridges that they are ports of.
    vlans = [Made(link) for uplink in uplinks for link, _ in uplink.vlans]
    made = [Made(bridge.name, bridge.mtu, bridge.addresses) for bridge in bridges]
    # ifupdown has nothing to do with VLANs of a NIC.
    kept = [Made(each.name) for each in uplinks if each.bridge or manager != "ifupdown"]
    ports = [(bridge.port, bridge.name) for bridge in bridges if bridge.port]
    return Change(manager, files, (*vlans, *made), tuple(kept), tuple(ports))


def _declares(texts: Iterable[str], name: str) -> bool:
    lines = (line.split() for text in texts for line in text.splitlines())
    return any(words[:2] == ["iface", name] for words in lines)


def _texts(files: Mapping[str, str], paths: set[str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path in paths}


def _names(links: Mapping[str, Link]) -> str:
    return "there are " + ", ".join(sorted(name for name in links if name != "lo"))
