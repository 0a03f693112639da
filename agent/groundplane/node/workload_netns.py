"""Connects a workload that has its own addresses: namespace, veth pair, addresses, routes.

Run as root by `groundplane-netns@<namespace>-<name>.service`, from the last good site that the
agent keeps. It can safely run again, even after a crash halfway.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from groundplane.dataplanes.links import resolv_conf
from groundplane.errors import GroundplaneError, KernelRefused
from groundplane.hint import did_you_mean
from groundplane.kernel.owned import BRIDGE
from groundplane.net.address import family_of
from groundplane.net.protocols import Family
from groundplane.project.state import LocalWorkload, NodeBase

INTERFACE: Final = "eth0"
NETNS_DIRECTORY: Final = Path("/run/netns")
# Devices that decapsulate tunneled packets; every namespace has them once the module is loaded.
TUNNELS: Final[dict[Family, str]] = {"IPv4": "tunl0", "IPv6": "ip6tnl0"}
MODULES: Final[dict[Family, str]] = {"IPv4": "ipip", "IPv6": "ip6_tunnel"}
# Flags of a workload's port. The bridge does not learn addresses from it, floods to it only what
# the node itself sends, and with br_netfilter on returns packets that a workload sends to itself.
PORT: Final = (
    *("learning", "off", "flood", "off", "mcast_flood", "off", "bcast_flood", "off"),
    *("hairpin", "on"),
)
# Router advertisements are ignored: the default route leads to the node.
NO_ROUTERS: Final = {f"net/ipv6/conf/{of}/accept_ra": 0 for of in ("all", "default", INTERFACE)}
CONFIG_DIRECTORY: Final = Path("/etc/netns")  # ip-netns(8): files bound over those of /etc


def find(base: NodeBase, instance: str) -> LocalWorkload:
    """Return the workload of unit instance *instance*; GroundplaneError with the nearest name."""
    known = {workload.instance: workload for workload in base.workloads}
    if instance not in known:
        hint = did_you_mean(instance, known)
        raise GroundplaneError(
            f'Node/{base.name} has no workload "{instance}" with addresses of its own{hint}'
        )
    return known[instance]


def up(base: NodeBase, workload: LocalWorkload) -> None:
    """Create or repair the namespace and link of *workload* as declared."""
    name = workload.instance
    config = CONFIG_DIRECTORY / name
    config.mkdir(parents=True, exist_ok=True)
    (config / "resolv.conf").write_text(resolv_conf(base, workload.namespace))
    if not os.path.ismount(NETNS_DIRECTORY / name):
        (NETNS_DIRECTORY / name).unlink(missing_ok=True)  # left by an incomplete run
        _ip("netns", "add", name)
    if not _there("-n", name, "link", "show", INTERFACE):
        _remove_stray_end(workload.interface)
        peer = ("peer", "name", INTERFACE, "netns", name)
        _ip("link", "add", workload.interface, "type", "veth", *peer)
    # IPv6 is off, so that no address of the host's end answers on the bridge.
    with suppress(FileNotFoundError):  # a kernel without IPv6 lacks it
        Path(f"/proc/sys/net/ipv6/conf/{workload.interface}/disable_ipv6").write_text("1")
    mtu = ("mtu", str(base.mtu))
    _ip("link", "set", workload.interface, *mtu, "master", BRIDGE, "up")
    _ip("link", "set", workload.interface, "type", "bridge_slave", *PORT)
    _run(*entry_of(workload))
    _ip("-n", name, "link", "set", "lo", "up")
    _sysctls(name, NO_ROUTERS)
    _ip("-n", name, "link", "set", INTERFACE, *mtu, "address", workload.mac, "up")
    _drop_other_addresses(name, workload)
    gateways = {family_of(text): text for text in base.bridge_addresses}
    for address in workload.addresses:
        gateway = gateways[family_of(address)]
        _set_address(name, address, gateway)
        _ip("-n", name, *neighbour_of(base, gateway))
    _tell_node(workload)


def entry_of(workload: LocalWorkload) -> tuple[str, ...]:
    """Return the command that sets the bridge's entry for *workload*: its port does not learn."""
    return ("bridge", "fdb", "replace", workload.mac, "dev", workload.interface, "master", "static")


def neighbour_of(base: NodeBase, gateway: str) -> tuple[str, ...]:
    """Return the ip(8) arguments that give a workload a permanent neighbour entry of *gateway*.

    With it the workload never solicits the gateway's address. In IPv6, a solicitation has the
    source address of the packet that waits (RFC 4861, 7.2.2); if that is the address of a service,
    the advertisement is sent elsewhere.
    """
    told = ("lladdr", base.bridge_mac, "dev", INTERFACE, "nud", "permanent")
    return ("neighbour", "replace", gateway, *told)


def _remove_stray_end(interface: str) -> None:
    """Remove the host's end of a deleted namespace; the kernel may also do so at any moment."""
    with suppress(KernelRefused):
        _ip("link", "del", interface)
    if _there("link", "show", interface):
        raise KernelRefused(f"the link {interface} of an earlier namespace cannot be removed")


def _length(address: str) -> int:
    return 32 if family_of(address) == "IPv4" else 128


def _set_address(name: str, address: str, gateway: str) -> None:
    """Set *address* and an on-link default route through *gateway* in the namespace *name*."""
    flag, extra = ("-4", []) if family_of(address) == "IPv4" else ("-6", ["nodad"])
    here = ("-n", name, flag)
    _ip(*here, "address", "replace", f"{address}/{_length(address)}", "dev", INTERFACE, *extra)
    _ip(*here, "route", "replace", "default", "via", gateway, "dev", INTERFACE, "onlink")


def _drop_other_addresses(name: str, workload: LocalWorkload) -> None:
    """Remove addresses that the workload no longer has."""
    shown = _ip("-j", "-n", name, "address", "show", "dev", INTERFACE, "scope", "global")
    for link in json.loads(shown or "[]"):
        for each in link.get("addr_info", ()):
            # iproute2 6.1 also lists what the scope filters out, as an empty mapping.
            if each and each["local"] not in workload.addresses:
                old = f"{each['local']}/{each['prefixlen']}"
                _ip("-n", name, "address", "del", old, "dev", INTERFACE)


def down(instance: str) -> None:
    """Remove the namespace, and with it the link; no error if they do not exist."""
    if (NETNS_DIRECTORY / instance).exists():
        # Deleting one end deletes both at once; the kernel removes the namespace itself later.
        subprocess.run(
            ["ip", "-n", instance, "link", "del", INTERFACE], check=False, capture_output=True
        )
        _ip("netns", "del", instance)
    config = CONFIG_DIRECTORY / instance
    if config.is_dir():
        (config / "resolv.conf").unlink(missing_ok=True)
        if not any(config.iterdir()):
            config.rmdir()


def _tell_node(workload: LocalWorkload) -> None:
    """Set the current hardware address of *workload* in the node's existing neighbour entries."""
    for address in workload.addresses:
        here = (address, "dev", BRIDGE)
        if json.loads(_ip("-j", "neighbour", "show", *here) or "[]"):
            _ip("neighbour", "replace", *here, "lladdr", workload.mac, "nud", "stale")


def answer_for(name: str, addresses: Sequence[str]) -> None:
    """Let the namespace *name* accept packets in IP tunnels to *addresses*, and to no others.

    Replies leave by the default route, with the address that the client used as their source.
    """
    for family, device in TUNNELS.items():
        wanted = {f"{text}/{_length(text)}" for text in addresses if family_of(text) == family}
        here = ("-n", name, "-4" if family == "IPv4" else "-6")
        if not wanted and device not in _links(name):
            continue
        _have(name, device, MODULES[family])
        shown = _ip("-j", *here, "address", "show", "dev", device, "scope", "global")
        present = {
            f"{each['local']}/{each['prefixlen']}"
            for link in json.loads(shown or "[]")
            for each in link.get("addr_info", ())
            if each
        }
        for old in present - wanted:
            _ip(*here, "address", "del", old, "dev", device)
        if family == "IPv4" and wanted:
            # Loose (RFC 3704, 2.4): the route back to a client does not use the tunnel.
            _sysctls(name, {f"net/ipv4/conf/{device}/rp_filter": 2})
        _ip(*here, "link", "set", device, "up" if wanted else "down")
        for new in wanted - present:
            extra = [] if family == "IPv4" else ["nodad"]
            _ip(*here, "address", "add", new, "dev", device, *extra)


def _have(name: str, device: str, module: str) -> None:
    """Make sure that the namespace *name* has *device*; it exists once *module* is loaded."""
    if device in _links(name):
        return
    subprocess.run(["modprobe", module], check=False, capture_output=True)
    if device not in _links(name):
        raise KernelRefused(
            f"there is no {device} in {name}: the kernel has no module {module}, or "
            "net.core.fb_tunnels_only_for_init_net keeps it from there"
        )


def _links(name: str) -> set[str]:
    """Return the links of the namespace *name*.

    This lists all: a query for one of TUNNELS by its name would create it.
    """
    return {link["ifname"] for link in json.loads(_ip("-j", "-n", name, "link") or "[]") if link}


def _sysctls(name: str, values: Mapping[str, int]) -> None:
    """Set those of *values* that exist in the namespace *name*: a kernel may lack IPv6."""
    lines = (f"[ ! -e {path} ] || echo {value} >{path}" for path, value in values.items())
    _ip("netns", "exec", name, "sh", "-ec", "cd /proc/sys; " + "; ".join(lines))


def _there(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], check=False, capture_output=True).returncode == 0


def _ip(*arguments: str) -> str:
    """Return the output of ip(8); KernelRefused with its error message if it fails."""
    return _run("ip", *arguments)


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        raise KernelRefused(
            f"{' '.join(command)}: {error.stderr.strip() or os.strerror(1)}"
        ) from None
