"""Facts about the links of a host, and the programs that configure them."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pyinfra.api import FactBase

from groundplane_deploys.plan.bridging.found import Link, Managers
from groundplane_deploys.plan.texts import decoded


class Links(FactBase[dict[str, Link]]):
    """Every link, by name."""

    default = dict

    def command(self) -> str:
        return "ip -json -details address show"

    def process(self, output: Iterable[str]) -> dict[str, Link]:
        found = [_link(each) for each in json.loads("".join(output) or "[]") if each]
        return {link.name: link for link in found}


class LinkManagers(FactBase[Managers]):
    """The programs that configure the host's links, with their configuration files by path.

    Files are transferred as base64, to keep line ends and bytes of other encodings.
    """

    def command(self) -> str:
        return (
            "for link in /sys/class/net/*; do"
            " state=/run/systemd/netif/links/$(cat $link/ifindex 2>/dev/null);"
            ' test -r $state && echo "link ${link##*/} $(sed -n s/^NETWORK_FILE=//p $state)"; done;'
            " for unit in systemd-networkd NetworkManager; do"
            " systemctl --quiet is-active $unit.service && echo runs $unit; done;"
            " command -v cloud-init >/dev/null && test ! -e /etc/cloud/cloud-init.disabled &&"
            " echo runs cloud-init;"
            " for file in /etc/netplan/*.yaml /etc/network/interfaces /etc/network/interfaces.d/*"
            ' /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg; do test -f "$file" || continue;'
            " case $file in"
            " /etc/netplan/*) command -v netplan >/dev/null || continue ;;"
            ' /etc/cloud/*) grep -q network "$file" || continue ;;'
            " *) command -v ifup >/dev/null || continue ;; esac;"
            ' echo "file $file"; echo "|$(base64 -w 0 "$file")"; done; true'
        )

    def process(self, output: Iterable[str]) -> Managers:
        networkd: dict[str, str] = {}
        running: set[str] = set()
        files: dict[str, str] = {}
        path = ""
        for line in output:
            word, _, rest = line.partition(" ")
            if line.startswith("|"):
                files[path] = decoded(base64.b64decode(line[1:]))
            elif word == "file":
                path = rest
            elif word == "link":
                name, _, used = rest.partition(" ")
                networkd[name] = used.strip()
            elif word == "runs":
                running.add(rest)
        return Managers(
            networkd=networkd,
            networkd_runs="systemd-networkd" in running,
            network_manager_runs="NetworkManager" in running,
            netplan=_below(files, "/etc/netplan/"),
            interfaces=_below(files, "/etc/network/"),
            cloud_init_runs="cloud-init" in running,
            cloud_config=_below(files, "/etc/cloud/"),
        )


def _below(files: Mapping[str, str], directory: str) -> dict[str, str]:
    return {path: text for path, text in files.items() if path.startswith(directory)}


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
