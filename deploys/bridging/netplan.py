"""Bridges as YAML of netplan (netplan(5))."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, Final

import yaml

from deploys.bridging.errors import BridgeError
from deploys.bridging.wanted import Bridge, uplinks_of

PATH: Final = "/etc/netplan/90-groundplane-bridges.yaml"
_HEAD: Final = "# Written by groundplane; changes are overwritten.\n"
_ITS_NETWORK: Final = (
    "addresses", "dhcp4", "dhcp4-overrides", "dhcp6", "dhcp6-overrides", "gateway4", "gateway6",
    "nameservers", "routes", "routing-policy",
)  # fmt: skip
# What may be below a bridge; only the first of them may stand for a NIC by what it matches.
_KINDS: Final = ("ethernets", "bonds")
_NO_NETWORK: Final[dict[str, Any]] = {
    "accept-ra": False, "dhcp4": False, "dhcp6": False, "link-local": []
}  # fmt: skip


def files(
    bridges: tuple[Bridge, ...], macs: Mapping[str, str], texts: Mapping[str, str]
) -> dict[str, str]:
    """Return the files that make *bridges*, by absolute path.

    *texts* are those of netplan's files by path; what a NIC that becomes the port of a bridge has
    there of addresses and routes goes, since netplan only ever adds up what files say.
    """
    others = {path: _read(path, text) for path, text in texts.items() if path != PATH}
    changed: dict[str, str] = {}
    nics: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    ids: dict[str, str] = {}
    for uplink in uplinks_of(bridges):
        named = list(_definitions(others, uplink.name, macs.get(uplink.name, "")))
        kind, ids[uplink.name] = named[0][1:] if named else (_KINDS[0], uplink.name)
        own = {"mtu": uplink.mtu} | (_NO_NETWORK if uplink.bridge else {})
        nics[kind][ids[uplink.name]] = own
        for path, section, key in named if uplink.bridge else ():
            definition = others[path]["network"][section][key]
            if any(definition.pop(word, None) is not None for word in _ITS_NETWORK):
                for word in _ITS_NETWORK:
                    definition.pop(word, None)
                changed[path] = _write(others[path])
    if not bridges:
        return changed
    vlans = {
        bridge.port: {"id": bridge.vlan, "link": ids[bridge.uplink], "mtu": bridge.mtu}
        | _NO_NETWORK
        for bridge in bridges
        if bridge.vlan and bridge.uplink and bridge.port
    }
    network: dict[str, Any] = {"version": 2, **nics, "vlans": vlans}
    network["bridges"] = {bridge.name: _bridge(bridge, ids, macs) for bridge in bridges}
    kept = {key: value for key, value in network.items() if value}
    return {**changed, PATH: _HEAD + _write({"network": kept})}


def links_of(text: str) -> set[str]:
    """Return the links that a file of ours makes."""
    network = _read(PATH, text).get("network", {})
    return {*network.get("bridges", {}), *network.get("vlans", {})}


def _bridge(bridge: Bridge, ids: Mapping[str, str], macs: Mapping[str, str]) -> dict[str, Any]:
    ports = [bridge.port if bridge.vlan else ids[bridge.uplink]] if bridge.uplink else []
    found: dict[str, Any] = {
        **_NO_NETWORK,
        "interfaces": ports,
        "link-local": ["ipv6"] if bridge.ipv6 else [],
        "mtu": bridge.mtu,
        "parameters": {"stp": False, "forward-delay": 0},
    }
    if bridge.uplink:
        found["macaddress"] = macs[bridge.uplink]
    if bridge.addresses:
        found["addresses"] = list(bridge.addresses)
    if bridge.gateways:
        found["routes"] = [
            {"to": "::/0" if ":" in gateway else "0.0.0.0/0", "via": gateway}
            for gateway in bridge.gateways
        ]
    if bridge.nameservers:
        found["nameservers"] = {"addresses": list(bridge.nameservers)}
    return found


def _definitions(
    others: Mapping[str, dict[str, Any]], nic: str, mac: str
) -> Iterator[tuple[str, str, str]]:
    """Yield where a NIC, or a bond, is defined: path, kind and id.

    One that stands for more is in the way.
    """
    networks = {path: document.get("network", {}) for path, document in others.items()}
    bonds = [path for path, network in networks.items() if nic in (network.get("bonds") or {})]
    if bonds:  # its hardware address may be that of a member
        yield from ((path, "bonds", nic) for path in bonds)
        return
    for path, network in networks.items():
        for key, definition in (network.get("ethernets") or {}).items():
            match = (definition or {}).get("match")
            if match is None:
                if key == nic:
                    yield path, "ethernets", key
            elif definition.get("set-name") == nic or match.get("macaddress", "").lower() == mac:
                yield path, "ethernets", key
            elif fnmatch(nic, match.get("name", "")):
                if match["name"] != nic:
                    raise BridgeError(
                        f"{path}: {key} matches {match['name']}, which may be more than {nic}: "
                        "define that NIC alone"
                    )
                yield path, "ethernets", key


def _read(path: str, text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise BridgeError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise BridgeError(f"{path}: it is no YAML that netplan would read")
    return found


def _write(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, default_flow_style=False, sort_keys=False)
