"""Text of what networkd and a workload's resolver read. Pure."""

from groundplane.model.address import family_of, network
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template


def network_units(base: NodeBase) -> dict[str, str]:
    """Return systemd-networkd's files for the workload bridge, by file name."""
    addresses = [
        f"{address}/{network(subnet).prefixlen}"
        for address, subnet in zip(base.bridge_addresses, base.subnets, strict=True)
    ]
    return {
        name: render_template(f"{name}.j2", base=base, addresses=addresses)
        for name in ("60-groundplane0.netdev", "60-groundplane0.network")
    }


def resolv_conf(base: NodeBase, namespace: str) -> str:
    """Return the resolver configuration of a workload of *namespace* (kubelet's ClusterFirst)."""
    server = sorted(base.bridge_addresses, key=family_of)[0]
    search = f"{namespace}.svc.{base.domain} svc.{base.domain} {base.domain}"
    return f"nameserver {server}\nsearch {search}\noptions ndots:5\n"
