"""Bridges as YAML of netplan (netplan(5))."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, Final, NamedTuple

import yaml

from groundplane_deploys.plan.bridging.wanted import Bridge, uplinks_of
from groundplane_deploys.plan.bridging.yaml_text import Document, Node

PATH: Final = "/etc/netplan/90-groundplane-bridges.yaml"
_HEAD: Final = "# Written by groundplane; changes are overwritten.\n"
# netplan merges these from all files; for everything else the last file wins.
_ADDED_UP: Final = frozenset(
    ("addresses", "gateway4", "gateway6", "nameservers", "routes", "routing-policy")
)
# Kinds that may be below a bridge; only the first may refer to a NIC with `match`.
_KINDS: Final = ("ethernets", "bonds")
_NO_NETWORK: Final[dict[str, Any]] = {
    "accept-ra": False, "dhcp4": False, "dhcp6": False, "link-local": []
}  # fmt: skip


class _Definition(NamedTuple):
    """Where a file defines a NIC or a bond: by which *id* of which *kind*."""

    document: Document
    kind: str
    id: str
    node: Node


def files(
    bridges: tuple[Bridge, ...], macs: Mapping[str, str], texts: Mapping[str, str]
) -> dict[str, str]:
    """Return the files that make *bridges*, by absolute path.

    *texts* are netplan's files by path. Addresses and routes of a NIC that becomes the port of a
    bridge are removed from them; our file, which is read later, contains the rest.
    """
    documents = _documents(texts)
    nics: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    ids: dict[str, str] = {}
    cuts: dict[str, list[tuple[Node, frozenset[str]]]] = {}
    for uplink in uplinks_of(bridges):
        named = list(_definitions(documents, uplink.name, macs.get(uplink.name, "")))
        kind, ids[uplink.name] = named[0][1:3] if named else (_KINDS[0], uplink.name)
        own = {"mtu": uplink.mtu} | (_NO_NETWORK if uplink.bridge else {})
        nics[kind][ids[uplink.name]] = own
        for found in named if uplink.bridge else ():
            path = found.document.path
            words = _ADDED_UP | (own.keys() if _comes_after_ours(path) else set())
            cuts.setdefault(path, []).append((found.node, words))
    left = {each.path: each.without(cuts.get(each.path, ())) for each in documents}
    changed = {path: text for path, text in left.items() if text != texts[path]}
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


def defining(
    bridges: tuple[Bridge, ...], macs: Mapping[str, str], texts: Mapping[str, str]
) -> set[str]:
    """Return the paths of the files that define NICs which become ports of *bridges*."""
    documents = _documents(texts)
    return {
        found.document.path
        for uplink in uplinks_of(bridges)
        if uplink.bridge
        for found in _definitions(documents, uplink.name, macs.get(uplink.name, ""))
    }


def links_of(text: str) -> set[str]:
    """Return the links that a file of ours makes."""
    document = Document(PATH, text)
    return {
        name
        for network in _networks(document)
        for kind, section in document.entries(network, "network")
        if kind in ("bridges", "vlans")
        for name, _ in document.entries(section, kind)
    }


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


def _documents(texts: Mapping[str, str]) -> list[Document]:
    return [Document(path, text) for path, text in texts.items() if path != PATH]


def _comes_after_ours(path: str) -> bool:
    """Whether netplan reads the file after ours: it goes by the names alone."""
    return path.rsplit("/", 1)[-1] > PATH.rsplit("/", 1)[-1]


def _networks(document: Document) -> list[Node]:
    if document.root is None:
        return []
    return [value for key, value in document.entries(document.root, "the file") if key == "network"]


def _definitions(documents: Iterable[Document], nic: str, mac: str) -> Iterator[_Definition]:
    """Yield where a NIC, or a bond, is defined; one definition that stands for more is in the way."""
    found = [each for document in documents for each in _all_definitions(document)]
    bonds = [each for each in found if each.kind == "bonds" and each.id == nic]
    if bonds:  # its hardware address may be that of a member
        yield from bonds
        return
    for each in found:
        if each.kind == "ethernets" and _is_of(each, nic, mac):
            yield each


def _all_definitions(document: Document) -> Iterator[_Definition]:
    for network in _networks(document):
        for kind, section in document.entries(network, "network"):
            for key, node in document.entries(section, kind) if kind in _KINDS else ():
                document.entries(node, key)  # has to be a mapping
                yield _Definition(document, kind, key, node)


def _is_of(definition: _Definition, nic: str, mac: str) -> bool:
    document, _, key, node = definition
    words = dict(document.entries(node, key))
    if "match" not in words:
        return key == nic
    match = dict(document.entries(words["match"], "match"))
    if document.scalar(words.get("set-name")) == nic:
        return True
    if mac and document.scalar(match.get("macaddress")).lower() == mac:
        return True
    pattern = document.scalar(match.get("name"))
    if pattern != nic and fnmatch(nic, pattern):
        raise document.fault(
            match["name"],
            f"{key} matches {pattern}, which may be more than {nic}: define that NIC alone",
        )
    return pattern == nic


def _write(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, default_flow_style=False, sort_keys=False)
