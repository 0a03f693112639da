"""Bridges as stanzas of ifupdown (interfaces(5)), without packages that it would take for more."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from deploys.bridging.wanted import Bridge, uplinks_of
from groundplane.rendering import render_template

PATH: Final = "/etc/network/interfaces.d/groundplane-bridges"
_STANZA: Final = re.compile(r"\s*(iface|mapping|auto|allow-\S+|no-\S+|source\S*|rename|template)\b")
_LISTS: Final = re.compile(r"\s*(auto|allow-\S+|no-auto-down|no-scripts)\s+(.*)")


def files(
    bridges: tuple[Bridge, ...], macs: Mapping[str, str], interfaces: Mapping[str, str]
) -> dict[str, str]:
    """Return the files that make *bridges*, by absolute path.

    *interfaces* are the texts of ifupdown's files by path; those of a NIC that becomes the port of
    a bridge lose its stanzas.
    """
    uplinks = uplinks_of(bridges)
    ports = {uplink.name for uplink in uplinks if uplink.bridge}
    kept = {path: without(text, ports) for path, text in interfaces.items() if path != PATH}
    changed = {path: text for path, text in kept.items() if text != interfaces[path]}
    if not bridges:
        return changed
    mtus = {uplink.name: uplink.mtu for uplink in uplinks}
    text = render_template(
        "bridge/interfaces.j2", bridges=bridges, ports=sorted(ports), macs=macs, mtus=mtus
    )
    return {**changed, PATH: text}


def links_of(text: str) -> set[str]:
    """Return the links that a file of ours makes."""
    return set(re.findall(r"^auto (\S+)$", text, re.M))


def without(text: str, names: set[str]) -> str:
    """Return the *text* of an interfaces file without what it says of the links *names*."""
    return "".join(_without(text, names))


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
