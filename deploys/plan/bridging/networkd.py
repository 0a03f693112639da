"""Bridges as files of systemd-networkd (systemd.netdev(5), systemd.network(5))."""

from collections.abc import Mapping
from typing import Final

from groundplane.deploy_api import render_template
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.wanted import Bridge, Uplink, uplinks_of

DIRECTORY: Final = "/etc/systemd/network"
# networkd takes the first file that matches a link: ours come before those of installers.
PREFIX: Final = "05-groundplane-"
_DROP_IN: Final = "50-groundplane-vlans.conf"


def files(
    bridges: tuple[Bridge, ...], macs: Mapping[str, str], used: Mapping[str, str]
) -> dict[str, str]:
    """Return the files that make *bridges*, by absolute path.

    *macs* are the addresses of the NICs, which their bridges take; *used* are the .network files
    (absolute paths) that they are configured by now.
    """
    found: dict[str, str] = {}
    for bridge in bridges:
        mac = macs.get(bridge.uplink) if bridge.uplink else None
        found[f"{bridge.name}.netdev"] = _render("bridge.netdev", bridge=bridge, mac=mac)
        found[f"{bridge.name}.network"] = _render("bridge.network", bridge=bridge)
        if bridge.vlan and bridge.port:
            found[f"{bridge.port}.netdev"] = _render(
                "vlan.netdev", link=bridge.port, id=bridge.vlan
            )
            found[f"{bridge.port}.network"] = _port(bridge.port, bridge.mtu, bridge.name)
    ours = {f"{DIRECTORY}/{PREFIX}{name}": text for name, text in found.items()}
    for uplink in uplinks_of(bridges):
        path, text = _uplink(uplink, used.get(uplink.name, ""))
        ours[path] = text
    return ours


def is_ours(path: str) -> bool:
    """Whether an absolute path is that of a file that some change of ours wrote."""
    name = path.rsplit("/", 1)[-1]
    return path.startswith(f"{DIRECTORY}/") and (name.startswith(PREFIX) or name == _DROP_IN)


def links_of(path: str) -> set[str]:
    """Return the links that a file of ours makes: those of .netdev files."""
    name = path.rsplit("/", 1)[-1]
    return (
        {name.removeprefix(PREFIX).removesuffix(".netdev")} if name.endswith(".netdev") else set()
    )


def _uplink(uplink: Uplink, used: str) -> tuple[str, str]:
    """A NIC that stays what it is but for VLANs keeps its file, and gets a drop-in."""
    name = used.rsplit("/", 1)[-1]
    vlans = [link for link, _ in uplink.vlans]
    if uplink.bridge is None and name and not name.startswith(PREFIX):
        return f"{DIRECTORY}/{name}.d/{_DROP_IN}", _render(
            "vlans.conf", vlans=vlans, mtu=uplink.mtu
        )
    if name and name < f"{PREFIX}{uplink.name}.network":
        raise BridgeError(
            f"{used} comes before {PREFIX}{uplink.name}.network: give it another name"
        )
    return f"{DIRECTORY}/{PREFIX}{uplink.name}.network", _port(
        uplink.name, uplink.mtu, uplink.bridge, vlans
    )


def _port(link: str, mtu: int, bridge: str | None, vlans: list[str] | None = None) -> str:
    return _render("port.network", link=link, mtu=mtu, bridge=bridge, vlans=vlans or [])


def _render(template: str, **values: object) -> str:
    return render_template(f"bridge/{template}.j2", **values)
