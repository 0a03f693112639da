"""Configuration files for networkd and for a workload's resolver. Pure."""

from typing import Final

from groundplane.kernel.owned import BRIDGE, OVERLAY
from groundplane.net.address import family_of, network
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template

WIREGUARD_KEY: Final = "/etc/groundplane/wireguard.key"


def network_units(base: NodeBase) -> dict[str, str]:
    """Return systemd-networkd's files for the workload bridge and the overlay, by file name."""
    addresses = [
        f"{address}/{network(subnet).prefixlen}"
        for address, subnet in zip(base.bridge_addresses, base.subnets, strict=True)
    ]
    names = [f"60-{BRIDGE}.netdev", f"60-{BRIDGE}.network"]
    if base.overlay:
        names.append(f"60-{OVERLAY}.network")
        if base.overlay.mode == "wireguard":
            names.append(f"60-{OVERLAY}.netdev")
    return {
        name: render_template(
            f"{name}.j2",
            base=base,
            addresses=addresses,
            private_key=WIREGUARD_KEY,
        )
        for name in names
    }


def overlay_unit(base: NodeBase) -> str:
    """Return the systemd unit that creates the VXLAN link; `base.overlay` must be set."""
    return render_template("groundplane-overlay.service.j2", base=base, link=OVERLAY)


def resolv_conf(base: NodeBase, namespace: str) -> str:
    """Return the resolver configuration of a workload of *namespace* (kubelet's ClusterFirst)."""
    server = sorted(base.bridge_addresses, key=family_of)[0]
    search = f"{namespace}.svc.{base.domain} svc.{base.domain} {base.domain}"
    return f"nameserver {server}\nsearch {search}\noptions ndots:5\n"
