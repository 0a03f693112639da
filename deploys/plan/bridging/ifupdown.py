"""Bridges as stanzas of ifupdown (interfaces(5)), without packages that it would take for more."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from groundplane.deploy_api import render_template
from groundplane_deploys.plan.bridging.wanted import Bridge, uplinks_of

PATH: Final = "/etc/network/interfaces.d/groundplane-bridges"
_STANZA: Final = re.compile(r"\s*(iface|mapping|auto|allow-\S+|no-\S+|source\S*|rename|template)\b")
# A stanza of a bond (interfaces-bond(5)); the words of its own, older ones with an underscore.
_BOND: Final = re.compile(r"\s*(bond[-_]\S+|slaves)\s")
_LISTS: Final = re.compile(r"\s*(auto|allow-\S+|no-auto-down|no-scripts)\s+(.*)")


def files(
    bridges: tuple[Bridge, ...], macs: Mapping[str, str], interfaces: Mapping[str, str]
) -> dict[str, str]:
    """Return the files that make *bridges*, by absolute path.

    *interfaces* are the texts of ifupdown's files by path; the stanzas of a NIC that becomes the
    port of a bridge are removed. The lines that define a bond move with it, before the bridge.
    """
    uplinks = uplinks_of(bridges)
    ports = {uplink.name for uplink in uplinks if uplink.bridge}
    kept = {path: without(text, ports) for path, text in interfaces.items() if path != PATH}
    changed = {path: text for path, text in kept.items() if text != interfaces[path]}
    if not bridges:
        return changed
    mtus = {uplink.name: uplink.mtu for uplink in uplinks}
    made = {port: bond_of(interfaces.values(), port) for port in sorted(ports)}
    text = render_template(
        "bridge/interfaces.j2", bridges=bridges, ports=made, macs=macs, mtus=mtus
    )
    return {**changed, PATH: text}


def defining(bridges: tuple[Bridge, ...], interfaces: Mapping[str, str]) -> set[str]:
    """Return the paths of the files with stanzas of NICs that become ports of *bridges*."""
    ports = {uplink.name for uplink in uplinks_of(bridges) if uplink.bridge}
    return {
        path for path, text in interfaces.items() if path != PATH and without(text, ports) != text
    }


def links_of(text: str) -> set[str]:
    """Return the links that a file of ours makes; a bond was there before."""
    names = re.findall(r"^auto (\S+)$", text, re.M)
    return {name for name in names if not bond_of([text], name)}


def bond_of(texts: Iterable[str], name: str) -> tuple[str, ...]:
    """Return the lines that make the link *name* a bond, each once; none where it is none."""
    lines = (line.strip() for text in texts for line in _stanzas(text, name) if _BOND.match(line))
    return tuple(dict.fromkeys(lines))


def without(text: str, names: set[str]) -> str:
    """Return the *text* of an interfaces file without what it says of the links *names*."""
    return "".join(_without(text, names))


def _stanzas(text: str, name: str) -> Iterator[str]:
    """Yield the lines of the stanzas of a link, but for their heads."""
    inside = False
    for line in text.splitlines():
        if _STANZA.match(line):
            inside = line.split()[:2] == ["iface", name]
        elif inside:
            yield line


def _without(text: str, names: set[str]) -> Iterator[str]:
    dropping = False
    for line in text.splitlines(keepends=True):
        if _STANZA.match(line):
            words = line.split()
            dropping = words[0] == "iface" and len(words) > 1 and words[1] in names
        if listed := _LISTS.match(line):
            every = listed[2].split()
            left = [name for name in every if name not in names]
            if left != every:
                if left:
                    yield f"{listed[1]} {' '.join(left)}\n"
                continue
        if not dropping:
            yield line
