"""Facts about the links of a host, and about what configures them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Link:
    """A link as the kernel has it; *addresses* have their prefix lengths, without link-local ones."""

    name: str
    mac: str
    mtu: int
    kind: str
    master: str
    addresses: frozenset[str]


class Links(FactBase[dict[str, Link]]):
    """Every link, by name."""

    default = dict

    def command(self) -> str:
        return "ip -json -details address show"

    def process(self, output: Iterable[str]) -> dict[str, Link]:
        found = [_link(each) for each in json.loads("".join(output) or "[]") if each]
        return {link.name: link for link in found}


@dataclass(frozen=True)
class Managers:
    """What configures links: *networkd* has the file used (or "") of each link that it knows."""

    networkd: dict[str, str]
    networkd_runs: bool
    network_manager_runs: bool
    netplan: dict[str, str]
    interfaces: dict[str, str]


class LinkManagers(FactBase[Managers]):
    """What configures the host's links, with the texts of ifupdown's and netplan's files by path."""

    def command(self) -> str:
        return (
            "for link in /sys/class/net/*; do"
            " state=/run/systemd/netif/links/$(cat $link/ifindex 2>/dev/null);"
            ' test -r $state && echo "link ${link##*/} $(sed -n s/^NETWORK_FILE=//p $state)"; done;'
            " for unit in systemd-networkd NetworkManager; do"
            " systemctl --quiet is-active $unit.service && echo runs $unit; done;"
            " for file in /etc/netplan/*.yaml /etc/network/interfaces /etc/network/interfaces.d/*; do"
            ' test -f "$file" || continue; case $file in'
            " *netplan*) command -v netplan >/dev/null || continue ;;"
            " *) command -v ifup >/dev/null || continue ;; esac;"
            ' echo "file $file"; sed "s/^/|/" "$file"; done; true'
        )

    def process(self, output: Iterable[str]) -> Managers:
        networkd: dict[str, str] = {}
        running: set[str] = set()
        files: dict[str, str] = {}
        path = ""
        for line in output:
            word, _, rest = line.partition(" ")
            if line.startswith("|"):
                files[path] += f"{line[1:]}\n"
            elif word == "file":
                path = rest
                files[path] = ""
            elif word == "link":
                name, _, used = rest.partition(" ")
                networkd[name] = used.strip()
            elif word == "runs":
                running.add(rest)
        return Managers(
            networkd=networkd,
            networkd_runs="systemd-networkd" in running,
            network_manager_runs="NetworkManager" in running,
            netplan={each: text for each, text in files.items() if "/netplan/" in each},
            interfaces={each: text for each, text in files.items() if "/netplan/" not in each},
        )


def _link(shown: dict[str, Any]) -> Link:
    return Link(
        name=shown["ifname"],
        mac=shown.get("address", ""),
        mtu=shown.get("mtu", 0),
        kind=shown.get("linkinfo", {}).get("info_kind", ""),
        master=shown.get("master", ""),
        addresses=frozenset(
            f"{each['local']}/{each['prefixlen']}"
            for each in shown.get("addr_info", [])
            if each.get("scope") != "link" and "local" in each
        ),
    )
