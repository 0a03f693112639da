"""The links of workloads: their bridge, the overlay, forwarding, and the route protocol."""

from collections.abc import Iterable
from io import StringIO

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.operations import files, server, systemd

from groundplane.deploy_api import (
    BRIDGE,
    OVERLAY,
    ROUTE_PROTOCOL,
    NodeBase,
    network_units,
    overlay_unit,
    proxy_of,
)
from groundplane_deploys.catalog import compiled_site, node_state
from groundplane_deploys.facts.machine import LearnsRoutes, NetworkFiles, SettableNumber
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.operations import links as own
from groundplane_deploys.units import put_unit, remove_unit

SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    # A workload must not learn that its neighbour is on the same link: all packets pass the node.
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    # Loose (RFC 3704, 2.4): replies may arrive on another link than the route to their sender.
    "net.ipv4.conf.all.rp_filter": 2,
}
# Translate out-of-window segments like others: as invalid ones they would pass untranslated, and
# the receiver would answer with RST (docs/decisions/0028-out-of-window.md).
LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"
OVERLAY_UNIT = "groundplane-overlay.service"
WAIT_ONLINE_UNIT = "systemd-networkd-wait-online.service"
# systemd's own files for the host's ends of links to containers and VMs; boot never waits for one.
_OF_GUESTS = {"80-container-vb.network", "80-container-ve.network", "80-container-vz.network",
              "80-vm-vt.network"}  # fmt: skip
CONNTRACK_FILE = "/etc/sysctl.d/60-groundplane-conntrack.conf"
CONNTRACK_MAX = "net/netfilter/nf_conntrack_max"


@deploy("Links", data_defaults=DEFAULTS)
def links() -> None:
    """Make the workload bridge and the overlay, forwarding, and the name of our route protocol."""
    base = node_state(host.data.node_name).base
    _settings(base)
    _conntrack()
    files.put(
        name="Our route protocol has a name",
        src=StringIO(f"{ROUTE_PROTOCOL}\tgroundplane\n"),
        dest="/etc/iproute2/rt_protos.d/groundplane.conf",
        mode="644",
    )
    foreign = files.put(
        name="networkd leaves the agent's routes alone",
        src=StringIO("[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n"),
        dest="/etc/systemd/networkd.conf.d/groundplane.conf",
        mode="644",
    )
    if base.overlay and base.overlay.mode == "wireguard":
        public = next(n.public_key for n in compiled_site().nodes if n.name == base.name)
        own.wireguard_key(name="The private key is that of the catalog's key", public=public)
    _units(base)
    network_files = host.get_fact(NetworkFiles)
    if not configures_links_of_others(network_files):
        # It comes with networkd, finds no link to wait for, and waits two minutes for one.
        systemd.service(
            name="No boot waits for links that networkd does not have",
            service=WAIT_ONLINE_UNIT,
            running=None,
            enabled=False,
        )
    systemd.service(
        name="networkd reads its configuration again",
        service="systemd-networkd.service",
        restarted=True,
        _if=foreign.did_change,
    )


def configures_links_of_others(files: Iterable[str]) -> bool:
    """Whether these .network files are for links of the host itself, and not for ours alone."""
    ours = {f"60-{link}.network" for link in (BRIDGE, OVERLAY)}
    return not {path.rsplit("/", 1)[-1] for path in files} <= ours | _OF_GUESTS


def _settings(base: NodeBase) -> None:
    # Before forwarding, which would let a default route expire that the kernel learned.
    learning = host.get_fact(LearnsRoutes, addresses=base.addresses)
    settings = {f"net.ipv6.conf.{link}.accept_ra": 2 for link in learning} | SYSCTLS
    settings |= proxy_of(base.proxy_mode).sysctls
    for key, value in settings.items():
        server.sysctl(
            name=f"{key} is {value}",
            key=key,
            value=value,
            persist=True,
            persist_file="/etc/sysctl.d/60-groundplane.conf",
        )


def _conntrack() -> None:
    """Allow `conntrack_max` connections, and also translate late segments.

    A higher limit stays; a container uses its host's limit. This run may be the first to load the
    module with the settings, so they cannot be read in advance.
    """
    wanted = int(host.data.conntrack_max)
    there = host.get_fact(SettableNumber, path=CONNTRACK_MAX)
    # With the hyphen, a missing setting is not an error (sysctl.d(5)).
    lines = [f"-{LIBERAL} = 1"]
    if there is None or there <= wanted:
        lines.append(f"-{CONNTRACK_MAX.replace('/', '.')} = {wanted}")
    put = files.put(
        name="Connections are tracked as services need it",
        src=StringIO("".join(f"{line}\n" for line in lines)),
        dest=CONNTRACK_FILE,
        mode="644",
    )
    server.shell(
        name="The kernel tracks connections as services need it",
        commands=[f"sysctl --quiet --load={CONNTRACK_FILE} || true"],
        _if=put.did_change,
    )


def _units(base: NodeBase) -> None:
    """Write networkd's files, and recreate links that differ: kind and peer are set on creation."""
    wanted = network_units(base)
    changed = {
        name: files.put(
            name=f"networkd has {name}",
            src=StringIO(text),
            dest=f"/etc/systemd/network/{name}",
            mode="644",
        )
        for name, text in wanted.items()
    }
    changed |= {
        name: files.file(
            name=f"networkd has no {name}", path=f"/etc/systemd/network/{name}", present=False
        )
        for name in (f"60-{OVERLAY}.netdev", f"60-{OVERLAY}.network")
        if name not in wanted
    }
    own.without(
        name="WireGuard's link that was another is gone",
        link=OVERLAY,
        _if=changed[f"60-{OVERLAY}.netdev"].did_change,
    )
    _vxlan(base)
    systemd.service(  # it may run for the first time here, and then reads the files
        name="networkd runs",
        service="systemd-networkd.service",
        running=True,
        enabled=True,
    )
    server.shell(
        name="networkd makes the links as declared",
        commands=[
            "networkctl reload",
            *(f"networkctl reconfigure {link} || true" for link in (BRIDGE, OVERLAY)),
        ],
        _if=lambda: any(each.did_change() for each in changed.values()),
    )


def _vxlan(base: NodeBase) -> None:
    """Install the unit that creates the VXLAN link, or remove it."""
    if not (base.overlay and base.overlay.mode == "vxlan"):
        remove_unit(OVERLAY_UNIT)
        return
    unit = put_unit(OVERLAY_UNIT, overlay_unit(base))
    systemd.service(
        name="VXLAN's link is the declared one",
        service=OVERLAY_UNIT,
        restarted=True,
        _if=unit.did_change,
    )
    systemd.service(name="VXLAN's link is there", service=OVERLAY_UNIT, running=True, enabled=True)
