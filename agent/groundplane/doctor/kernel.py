"""Kernel settings and limits that block services' traffic. Pure.

Their meaning is that of Documentation/networking/{ip-sysctl,nf_conntrack-sysctl}.rst.
"""

from collections.abc import Iterator

from groundplane.diagnosis.examples import uplink
from groundplane.diagnosis.facts import Exposed, Facts, Finding
from groundplane.diagnosis.sysctl import sysctl_finding, sysctl_name
from groundplane.kernel.owned import BRIDGE
from groundplane.project.state import NodeBase

_ENTRIES = 65_536  # what a node of little memory has by default
_FULL = 0.8  # of the conntrack table


def kernel(base: NodeBase, facts: Facts, exposed: Exposed) -> Iterator[Finding]:
    yield from _forwarding(base, facts)
    yield from _reverse_paths(base, facts)
    yield from _redirects(base, facts)
    yield from _router_advertisements(base, facts)
    yield from _conntrack(facts)
    yield from _late_segments(facts)
    yield from _ports(base, facts, exposed)


def _interfaces(base: NodeBase, facts: Facts) -> list[str]:
    """Return the interfaces of services' traffic: those with the node's addresses, the bridge."""
    found = [uplink([address], facts) for address in base.addresses]
    return [*dict.fromkeys(each for each in found if each), BRIDGE]


def _forwarding(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    for family, everywhere, conf in (
        ("IPv4", "net/ipv4/ip_forward", "net/ipv4/conf"),
        ("IPv6", "net/ipv6/conf/all/forwarding", "net/ipv6/conf"),
    ):
        if family not in base.families:
            continue
        message = f"{family} packets are not forwarded: no workload reaches anything but its node."
        if facts.number(everywhere) == 0:
            yield sysctl_finding("error", everywhere, message, "1")
            continue
        for interface in _interfaces(base, facts):
            setting = f"{conf}/{interface}/forwarding"
            if facts.number(setting) == 0:
                message = f"{family} packets that come in by {interface} are not forwarded."
                yield sysctl_finding("error", setting, message, "1")


def _reverse_paths(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    """Yield strict reverse path filters where packets may arrive on another path than replies."""
    ways = {route.interface for route in facts.routes if route.gateway}
    if "IPv4" not in base.families or len(ways) < 2:
        return
    everywhere = facts.number("net/ipv4/conf/all/rp_filter") or 0
    for interface in _interfaces(base, facts):
        setting = f"net/ipv4/conf/{interface}/rp_filter"
        if max(everywhere, facts.number(setting) or 0) == 1:  # the higher of the two counts
            yield sysctl_finding(
                "warning",
                setting,
                f"IPv4 packets that come in by {interface} are dropped when the route back to "
                f"their sender leaves by another of {', '.join(sorted(ways))}.",
                "2",
            )


def _redirects(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    settings = [f"net/ipv4/conf/{name}/send_redirects" for name in (BRIDGE, "all")]
    if "IPv4" in base.families and any(facts.number(each) for each in settings):
        yield sysctl_finding(
            "warning",
            settings[0],
            "Workloads are told that their neighbour is on their own link, send to it directly, "
            "and lose those packets to the guard of the bridge.",
            "0",
            (settings[1], "0"),
        )


def _router_advertisements(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    """Yield interfaces that ignore router advertisements, and hence lose a route from one.

    A forwarding interface accepts them only with accept_ra=2. systemd-networkd and
    NetworkManager process them in user space, and set accept_ra to 0.
    """
    if "IPv6" not in base.families:
        return
    for route in facts.routes:
        setting = f"net/ipv6/conf/{route.interface}/accept_ra"
        forwards = facts.number(f"net/ipv6/conf/{route.interface}/forwarding")
        by_advertisement = route.destination == "::/0" and route.protocol in (2, 9)  # kernel, ra
        if by_advertisement and forwards and facts.number(setting) == 1:
            yield sysctl_finding(
                "warning",
                setting,
                f"The IPv6 default route by {route.interface} is of a router advertisement and "
                "ends with its lifetime, since a node that forwards ignores the next ones.",
                "2",
            )


def _conntrack(facts: Facts) -> Iterator[Finding]:
    setting = "net/netfilter/nf_conntrack_max"
    count, most = facts.number("net/netfilter/nf_conntrack_count"), facts.number(setting)
    if not most:  # 0: no limit
        return
    room = str(max(4 * most, 4 * _ENTRIES))
    if count is not None and count > _FULL * most:
        full = count >= most
        yield sysctl_finding(
            "error" if full else "warning",
            setting,
            f"{count} of {most} connections are tracked, and "
            f"{'new ones are' if full else 'beyond that new ones are'} dropped.",
            room,
        )
    elif most < _ENTRIES:
        yield sysctl_finding(
            "warning",
            setting,
            f"No more than {most} connections are tracked, and new ones beyond that are dropped.",
            room,
        )


def _late_segments(facts: Facts) -> Iterator[Finding]:
    """Yield a finding if conntrack treats out-of-window segments as invalid (kubernetes#74839)."""
    setting = "net/netfilter/nf_conntrack_tcp_be_liberal"
    if facts.number(setting) == 0:
        yield sysctl_finding(
            "warning",
            setting,
            "A TCP segment outside its window passes untranslated, and breaks the connection "
            "through a service that it belongs to.",
            "1",
        )


def _ports(base: NodeBase, facts: Facts, exposed: Exposed) -> Iterator[Finding]:
    first, last = base.node_ports
    setting = "net/ipv4/ip_local_port_range"
    local = facts.sysctls.get(setting, "").split()
    if len(local) != 2 or not (exposed.node_ports or exposed.health_check_ports):
        return
    low, high = max(first, int(local[0])), min(last, int(local[1]))
    reserved = _numbers(facts.sysctls.get("net/ipv4/ip_local_reserved_ports", ""))
    if low <= high and not reserved.issuperset(range(low, high + 1)):
        yield Finding(
            "warning",
            f"sysctl {sysctl_name(setting)}",
            f"Connections of the node itself may take ports {low} to {high} of the node port range "
            f"{first} to {last}: a health check node port cannot be listened on then, and a client "
            "of a node port may be taken for an answer.",
            "Run `sysctl -w net.ipv4.ip_local_reserved_ports="
            f"{_joined(reserved, low, high)}`, and keep it in a file of /etc/sysctl.d.",
        )


def _numbers(text: str) -> set[int]:
    """Return the ports that a list like `8080,9000-9010` has."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _joined(reserved: set[int], first: int, last: int) -> str:
    """Return *reserved* and the ports from *first* to *last* as a list of ranges."""
    ports = reserved | set(range(first, last + 1))
    starts = sorted(port for port in ports if port - 1 not in ports)
    ends = sorted(port for port in ports if port + 1 not in ports)
    return ",".join(
        f"{start}-{end}" if end > start else str(start)
        for start, end in zip(starts, ends, strict=True)
    )
