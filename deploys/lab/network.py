"""The lab's network: one namespace with a bridge and the gateway's addresses, one per node."""

import hashlib
import json
from pathlib import Path

from groundplane_deploys.lab.command import attempt, run
from groundplane_deploys.lab.model import Lab, derive_mac

BRIDGE = "br0"
_NAMESPACES = Path("/run/netns")


def node_namespace(prefix: str, name: str) -> str:
    return f"{prefix}-{name}"


def namespace_path(namespace: str) -> Path:
    return _NAMESPACES / namespace


def inside(namespace: str, argv: list[str]) -> list[str]:
    """Return the command line that runs *argv* in a namespace.

    `ip netns exec` would also work, but it keeps a copy of all the host's mounts while it runs.
    """
    return ["nsenter", f"--net={namespace_path(namespace)}", *argv]


def ensure_lab_network(lab: Lab) -> None:
    """Create the lab's namespace and bridge, or correct the existing ones."""
    prefix = lab.prefix
    if not namespace_path(prefix).exists():
        run(["ip", "netns", "add", prefix])
    _set_sysctls(
        prefix,
        "net.ipv4.ip_forward=0",
        "net.ipv6.conf.all.forwarding=0",
        "net.ipv6.conf.all.disable_ipv6=0",
        "net.ipv6.conf.default.disable_ipv6=0",
    )
    if attempt(["ip", "-n", prefix, "link", "show", BRIDGE]).returncode != 0:
        # Without an address of its own a bridge changes it whenever a port comes or goes.
        mac = derive_mac(prefix, BRIDGE)
        run(["ip", "-n", prefix, "link", "add", BRIDGE, "address", mac, "type", "bridge"])
    _batch(
        prefix,
        "link set lo up",
        # A port forwards from its first frame, and neighbour discovery meets no snooping.
        f"link set {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set {BRIDGE} up",
        *(
            # Duplicate address detection never ends on a bridge without ports.
            f"addr replace {address} dev {BRIDGE}{' nodad' if ':' in address else ''}"
            for address in lab.gateway
        ),
    )


def plug_node(prefix: str, name: str) -> None:
    """Give a node a new namespace with nothing but host0, as a boot of real hardware would."""
    unplug_node(prefix, name)
    namespace = node_namespace(prefix, name)
    run(["ip", "netns", "add", namespace])
    _set_sysctls(
        namespace, "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0"
    )
    port, mac = _port(name), derive_mac(prefix, name)
    _batch(
        prefix,
        f"link add {port} type veth peer name host0 address {mac} netns {namespace}",
        f"link set {port} alias {name}",
        f"link set {port} master {BRIDGE} up",
    )


def unplug_node(prefix: str, name: str) -> None:
    """Remove a node's link and namespace if they exist."""
    # Deleted by name, since the kernel empties an unused namespace with a delay.
    if namespace_path(prefix).exists():
        attempt(["ip", "-n", prefix, "link", "delete", _port(name)])
    if namespace_path(node_namespace(prefix, name)).exists():
        run(["ip", "netns", "delete", node_namespace(prefix, name)])


def list_plugged(prefix: str) -> set[str]:
    """Return the nodes with a port on the lab's bridge."""
    if not namespace_path(prefix).exists():
        return set()
    shown = attempt(["ip", "-json", "-n", prefix, "link", "show", "master", BRIDGE])
    links = json.loads(shown.stdout or "[]") if shown.returncode == 0 else []
    return {str(link["ifalias"]) for link in links if link.get("ifalias")}


def remove_lab_network(prefix: str) -> None:
    if namespace_path(prefix).exists():
        run(["ip", "netns", "delete", prefix])


def _port(name: str) -> str:
    """Return the name of the bridge's side of a node's link, at most fifteen characters."""
    port = f"to-{name}"
    return port if len(port) <= 15 else f"to-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _batch(namespace: str, *lines: str) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], stdin="".join(f"{line}\n" for line in lines))


def _set_sysctls(namespace: str, *settings: str) -> None:
    run(inside(namespace, ["sysctl", "--quiet", "--write", *settings]))
