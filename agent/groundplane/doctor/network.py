"""Interfaces, addresses, routes and sockets that divert services' traffic. Pure."""

from collections.abc import Iterator

from groundplane.diagnosis.facts import AddressFact, Exposed, Facts, Finding, RouteFact
from groundplane.doctor.leftovers import REMEDY
from groundplane.kernel.owned import BRIDGE, OVERLAY, ROUTE_PROTOCOL
from groundplane.net.address import contains, family_of, first_last
from groundplane.project.state import NodeBase

_ANY = ("0.0.0.0", "::")  # noqa: S104 - what a socket that is bound to all addresses shows


def network(base: NodeBase, facts: Facts, exposed: Exposed) -> Iterator[Finding]:
    yield from _bridge(base, facts)
    yield from _overlay(base, facts)
    yield from _addresses(base, facts, exposed)
    yield from _routes(base, facts)
    yield from _listeners(base, facts, exposed)
    yield from _leftovers(base, facts)


def _leftovers(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    """Yield the workloads that left this node, and still run here."""
    wanted = {each.instance for each in base.workloads}
    for name in facts.workloads:
        if name not in wanted:
            remedy = REMEDY.format(name)
            yield Finding(
                "warning",
                f"workload {name}",
                "It is not this node's any more, and its network is still here: what runs in it gets "
                "no connection from a service, and is not what the site calls by this name.",
                f"{remedy[0].upper()}{remedy[1:]}.",
            )


def _bridge(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    subject = f"interface {BRIDGE}"
    if BRIDGE not in facts.interfaces:
        yield Finding(
            "error",
            subject,
            "The bridge of this node's workloads is missing: none of them is connected, and the "
            "node itself reaches no service.",
            "Deploy the node again, or run `networkctl reload`.",
        )
        return
    if not facts.interfaces[BRIDGE]:
        yield Finding(
            "error",
            subject,
            "The bridge of this node's workloads is down: none of them is connected.",
            f"Run `ip link set {BRIDGE} up`.",
        )
    there = {each.address for each in facts.addresses if each.interface == BRIDGE}
    for address, subnet in zip(base.bridge_addresses, base.subnets, strict=True):
        if address not in there:
            length = subnet.partition("/")[2]
            yield Finding(
                "error",
                subject,
                f"The bridge lacks {address}, which is the gateway and the name server of this "
                "node's workloads.",
                f"Run `ip address add {address}/{length} dev {BRIDGE}`, and look for what removed it "
                "with `networkctl status groundplane0`.",
            )


def _overlay(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    if base.overlay is None:
        return
    subject = f"interface {OVERLAY}"
    if not facts.interfaces.get(OVERLAY):
        down = OVERLAY in facts.interfaces
        far = ", ".join(peer.name for peer in base.peers if peer.tunnel)
        yield Finding(
            "error",
            subject,
            f"The overlay is {'down' if down else 'missing'}: the workloads of these nodes cannot "
            f"be reached from here: {far}.",
            f"Run `ip link set {OVERLAY} up`."
            if down
            else "Deploy the node again, or run `networkctl reload`.",
        )
        return
    there = {each.address for each in facts.addresses if each.interface == OVERLAY}
    for address in base.bridge_addresses:
        if address not in there:
            length = 32 if family_of(address) == "IPv4" else 128
            yield Finding(
                "error",
                subject,
                f"The overlay lacks {address}: what is masqueraded into it is not answered.",
                f"Run `ip address add {address}/{length} dev {OVERLAY}`.",
            )


def _addresses(base: NodeBase, facts: Facts, exposed: Exposed) -> Iterator[Finding]:
    peers = {address: peer.name for peer in base.peers for address in peer.addresses}
    for each in facts.addresses:
        remedy = f"Run `ip address del {each.address}/{each.length} dev {each.interface}`."
        subject = f"address {each.address} on {each.interface}"
        if each.address in peers:
            yield Finding(
                "error",
                subject,
                f"It is the address of Node/{peers[each.address]}: what is sent there stays here.",
                remedy,
            )
        elif message := _taken(base, each):
            yield Finding("error", subject, message, remedy)
        elif each.address in exposed.addresses:
            yield Finding(
                "warning",
                subject,
                "It is a service's external address: on ports that no service has there, programs "
                "of the node itself answer.",
                remedy,
            )


def _taken(base: NodeBase, each: AddressFact) -> str:
    """Return why the address *each* must not be on its interface, or "" if it may."""
    for cidr in base.service_cidrs:
        if contains(cidr, each.address):
            return (
                f"It lies in the service range {cidr}: what groundplane does not translate there "
                "is answered by programs of the node itself."
            )
    for peer in base.peers:
        for subnet in peer.subnets:
            if contains(subnet, each.address):
                return (
                    f"It lies in {subnet}, the workloads of Node/{peer.name}: the one that has it "
                    "cannot be reached from here."
                )
    for subnet in base.subnets:
        on_overlay = each.interface == OVERLAY and each.address in base.bridge_addresses
        if contains(subnet, each.address) and each.interface != BRIDGE and not on_overlay:
            return (
                f"It lies in {subnet}, this node's workloads: the one that has it cannot be "
                "reached."
            )
    return ""


def _routes(base: NodeBase, facts: Facts) -> Iterator[Finding]:
    """Yield foreign routes as specific as ours or more: they override or block ours."""
    subnets = [(subnet, peer.name) for peer in base.peers for subnet in peer.subnets]
    own = [(subnet, base.name) for subnet in base.subnets]
    for route in facts.routes:
        if (
            route.protocol == ROUTE_PROTOCOL
            or route.interface == BRIDGE
            or _is_of_an_address(facts, route)
        ):
            continue
        place = f" dev {route.interface}" if route.interface else ""
        subject = f"route {route.destination}{place}"
        kind = "" if route.kind == "unicast" else f"{route.kind} "
        family = " -6" if family_of(route.destination) == "IPv6" else ""
        remedy = f"Run `ip{family} route del {kind}{route.destination}{place}`."
        cidr = next((each for each in base.service_cidrs if _inside(route.destination, each)), None)
        if cidr:
            yield Finding(
                "error" if route.kind == "local" or route.destination == cidr else "warning",
                subject,
                f"It takes a part of the service range {cidr} from ours, so connections of the node "
                "itself to services there may get a wrong source address, or no way at all.",
                remedy,
            )
        for subnet, node in (*subnets, *own):
            if _inside(route.destination, subnet):
                yield Finding(
                    "error",
                    subject,
                    f"It takes a part of {subnet}, the workloads of Node/{node}, elsewhere: they "
                    "cannot be reached from here.",
                    remedy,
                )
        if not cidr and not any(
            _inside(route.destination, subnet) for subnet, _ in (*subnets, *own)
        ):
            yield from _unused(base, route, subject, remedy)


def _unused(base: NodeBase, route: RouteFact, subject: str, remedy: str) -> Iterator[Finding]:
    """Yield a route into the workload range outside of all nodes' subnets."""
    for cidr in base.workload_cidrs:
        if _inside(route.destination, cidr):
            yield Finding(
                "warning",
                subject,
                f"It lies in the workload range {cidr}: workloads of a node that gets that subnet "
                "will not be reached.",
                remedy,
            )


def _is_of_an_address(facts: Facts, route: RouteFact) -> bool:
    """Return whether *route* exists because of an interface address, which is already reported."""
    address, _, length = route.destination.partition("/")
    if route.kind not in ("local", "broadcast", "multicast", "anycast"):
        return False
    return length in ("32", "128") and (
        route.kind != "local" or any(each.address == address for each in facts.addresses)
    )


def _inside(inner: str, outer: str) -> bool:
    """Whether the range *inner* is *outer* or a part of it."""
    if family_of(inner) != family_of(outer):
        return False
    (first, last), (start, end) = first_last(inner), first_last(outer)
    return start <= first and last <= end


def _listeners(base: NodeBase, facts: Facts, exposed: Exposed) -> Iterator[Finding]:
    for listener in facts.listeners:
        here = listener.address in (*base.addresses, *_ANY)
        if here and (listener.protocol, listener.port) in exposed.node_ports:
            yield Finding(
                "warning",
                f"listener on {listener.address} port {listener.port}/{listener.protocol}",
                "The port is a service's node port: connections to this node's address there reach "
                "the service, not this listener.",
                f"Let the program listen elsewhere; `ss -H -lnp 'sport = :{listener.port}'` "
                "shows which it is.",
            )
