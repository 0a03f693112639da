"""Routes: to the workload subnets of the other nodes, and of the service ranges to the bridge.

And the bridge's own addresses: networkd sets them at boot only.
"""

import errno
import os
import socket
from typing import Final, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from groundplane.dataplanes import Drift
from groundplane.dataplanes.diff import Delta
from groundplane.dataplanes.links.fingerprint import LinkFingerprint, fingerprint
from groundplane.dataplanes.links.route import Route
from groundplane.dataplanes.links.tunnels import request, tunnel_of
from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.kernel.netlink import AF, Socket
from groundplane.kernel.owned import BRIDGE, OVERLAY, ROUTE_PROTOCOL
from groundplane.net.address import family_of, from_int, network
from groundplane.net.protocols import Family
from groundplane.project.state import NodeBase, Part, Peer

_NO_DAD: Final = 0x02  # IFA_F_NODAD
_MAIN: Final = 254
_LINKS, _IPV4_ADDRESSES, _IPV4_ROUTES = 0x1, 0x10, 0x40  # rtnetlink(7): RTMGRP_*
_IPV6_ADDRESSES, _IPV6_ROUTES = 0x100, 0x400


class LinkAddress(NamedTuple):
    """An address of our bridge."""

    prefix: int


LinkObject = Route | LinkAddress  # by a range, or by an address


def render(_base: NodeBase, part: Part) -> dict[str, LinkObject]:
    """Return the routes of *part* by their destination range, the bridge's addresses by themselves."""
    if not isinstance(part, NodeBase):
        return {}
    primary = {family_of(text): text for text in part.addresses}
    # A node's own connections to a service need a route, and thus a source address, before the
    # output hook translates them; no packet is ever delivered by this route.
    routes: dict[str, LinkObject] = {
        cidr: Route(source=primary[family_of(cidr)], device=BRIDGE) for cidr in part.service_cidrs
    }
    for address, subnet in zip(part.bridge_addresses, part.subnets, strict=True):
        routes[address] = LinkAddress(int(subnet.partition("/")[2]))
    for peer in part.peers:
        routes |= _to_peer(part, peer)
    return routes


def _to_peer(base: NodeBase, peer: Peer) -> dict[str, Route]:
    """Return the routes to the workloads of *peer*: on the link, by the overlay, or none."""
    if peer.tunnel and base.overlay is not None:
        # The source is an address of our workload range, so that answers take the same path.
        own = {family_of(text): text for text in base.bridge_addresses}
        tunnel = (peer.tunnel, base.overlay.vni) if base.overlay.mode == "vxlan" else ("", 0)
        return {
            subnet: Route("", own[family_of(subnet)], OVERLAY, *tunnel) for subnet in peer.subnets
        }
    gateways = {family_of(text): text for text in peer.addresses} if peer.on_link else {}
    return {
        subnet: Route(via) for subnet in peer.subnets if (via := gateways.get(family_of(subnet)))
    }


def _open_notifications() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    opened.bind((0, _LINKS | _IPV4_ADDRESSES | _IPV4_ROUTES | _IPV6_ADDRESSES | _IPV6_ROUTES))
    return opened


def _drain(notifications: socket.socket) -> bool:
    """Read all notifications; return whether there were any, or some were lost (ENOBUFS)."""
    told = False
    while True:
        try:
            notifications.recv(1 << 16)
        except BlockingIOError:
            return told
        except OSError:
            pass
        told = True


def _way(route: Route) -> str:
    if route.via:
        return f"via {route.via}"
    return f"to {route.device}{route.tunnel and f' through a tunnel to {route.tunnel}'}"


def _refused(destination: str, route: Route, code: int) -> KernelRefused:
    why = "a route of others is there" if code == errno.EEXIST else os.strerror(code)
    return KernelRefused(f"no route to {network(destination)} {_way(route)}: {why}")


class Links:
    """The dataplane of the network namespace of this process. Implements `Dataplane`.

    Ours are all routes of the main table with our protocol number. The bridge's declared addresses
    are restored when they are missing; other addresses are not touched.
    """

    name = "links"
    resync_interval_s = 10.0

    def __init__(self) -> None:
        self._netlink = IPRoute()
        self._notifications: socket.socket | None = None
        self._plain: Socket | None = None  # pyroute2 is slow, and lacks routes with an IP tunnel
        self._read: LinkFingerprint | None = None  # of what was read, unless it was written since

    def close(self) -> None:
        self._netlink.close()
        if self._plain is not None:
            self._plain.close()
        if self._notifications is not None:
            self._notifications.close()

    def context(self, _base: NodeBase) -> None:
        """Return None: every route is independent."""

    def render(self, base: NodeBase, part: Part) -> dict[str, LinkObject]:
        return render(base, part)

    def read(self, base: NodeBase) -> dict[str, LinkObject]:
        """Return the kernel's routes with our protocol number, and the bridge's addresses."""
        self._read = self._fingerprint()
        return self.routes() | self._addresses(base)

    def _fingerprint(self) -> LinkFingerprint | None:
        try:
            return fingerprint(self._asked(), ROUTE_PROTOCOL)
        except OSError:
            return None

    def _asked(self) -> Socket:
        if self._plain is None:
            self._plain = Socket(socket.NETLINK_ROUTE)
        return self._plain

    def _addresses(self, base: NodeBase) -> dict[str, LinkObject]:
        """Return the bridge's addresses that are declared."""
        found: dict[str, LinkObject] = {}
        bridges = self._netlink.link_lookup(ifname=BRIDGE)
        for message in self._netlink.get_addr(index=bridges[0]) if bridges else ():
            address = dict(message["attrs"]).get("IFA_ADDRESS", "")
            if address in base.bridge_addresses:
                found[address] = LinkAddress(message["prefixlen"])
        return found

    def drop(self, destination: str, route: Route) -> None:
        """Delete a route; KernelRefused has the reason of a failure."""
        self._change("del", destination, route)

    def routes(self) -> dict[str, Route]:
        """Return the kernel's routes with our protocol number."""
        try:
            messages = [
                message
                for family in AF.values()
                for message in self._netlink.get_routes(family, table=_MAIN, proto=ROUTE_PROTOCOL)
            ]
        except NetlinkError as error:
            raise KernelRefused(f"the kernel shows no routes: {error.args[-1]}") from None
        found: dict[str, Route] = {}
        ours = {index: name for name in (BRIDGE, OVERLAY) for index in self._indices(name)}
        for message in messages:
            attributes = dict(message["attrs"])
            family: Family = "IPv4" if message["family"] == AF["IPv4"] else "IPv6"
            destination = attributes.get("RTA_DST") or from_int(0, family)  # none: a default route
            found[f"{destination}/{message['dst_len']}"] = Route(
                attributes.get("RTA_GATEWAY", ""),
                attributes.get("RTA_PREFSRC", ""),
                ours.get(attributes.get("RTA_OIF", 0), ""),
                *tunnel_of(attributes),
            )
        return found

    def listen(self) -> int:
        """Listen for changes of routes, links and addresses, including our own."""
        self._notifications = _open_notifications()
        return self._notifications.fileno()

    def drift(self, _base: NodeBase) -> Drift | None:
        """Return a Drift if a change was reported, even our own, or if the last read is outdated."""
        reported = self._notifications is not None and _drain(self._notifications)
        is_other = reported or self._read is None or self._read != self._fingerprint()
        return Drift() if is_other else None

    def text(self, key: str, value: LinkObject) -> str:
        if isinstance(value, LinkAddress):
            return f"address {key}/{value.prefix} of {BRIDGE}"
        return f"route {network(key)} {_way(value)}"

    def write(self, _base: NodeBase, delta: Delta[str, LinkObject]) -> None:
        """Set and delete objects one by one: each is its own transaction in the kernel.

        A refused object does not block the others. A created object must not exist yet: a route
        with another protocol number is not ours to replace.
        """
        self._read = None
        changes = [("del", destination, route) for destination, route in delta.delete.items()]
        changes += [("replace", key, new) for key, (_, new) in delta.update.items()]
        changes += [("add", destination, route) for destination, route in delta.create.items()]
        refused: dict[str, str] = {}
        # Addresses first: a route may need one as its source.
        for verb, key, value in sorted(changes, key=lambda each: isinstance(each[2], Route)):
            try:
                if isinstance(value, Route):
                    self._change(verb, key, value)
                elif verb != "del":  # networkd itself deletes undeclared addresses
                    self._give(key, value)
            except KernelRefused as error:
                refused[key] = str(error)
        if refused:
            raise ObjectsRefused(refused)

    def _change(self, verb: str, destination: str, route: Route) -> None:
        if route.tunnel and verb != "del":
            self._lead_into_tunnel(verb, destination, route)
            return
        arguments: dict[str, object] = {
            "dst": destination,
            "proto": ROUTE_PROTOCOL,
            "family": AF[family_of(destination)],
        }
        if route.via:
            arguments["gateway"] = route.via
        elif verb != "del":
            arguments["oif"] = self._index(route.device)
            arguments["prefsrc"] = route.source
        try:
            self._netlink.route(verb, **arguments)
        except NetlinkError as error:
            if verb == "del" and error.code == errno.ESRCH:  # it is gone, as it should be
                return
            raise _refused(destination, route, error.code) from None

    def _lead_into_tunnel(self, verb: str, destination: str, route: Route) -> None:
        asked = request(verb, destination, route, self._index(route.device), ROUTE_PROTOCOL)
        complaint = self._asked().commit(asked)
        if complaint is not None:
            raise _refused(destination, route, complaint.code)

    def _give(self, address: str, value: LinkAddress) -> None:
        """Add an address to the bridge, without duplicate address detection, as in its unit."""
        try:
            self._netlink.addr(
                "replace",
                index=self._index(BRIDGE),
                address=address,
                prefixlen=value.prefix,
                flags=_NO_DAD,
            )
        except NetlinkError as error:
            raise KernelRefused(f"no address {address} for {BRIDGE}: {error.args[-1]}") from None

    def _index(self, device: str) -> int:
        found = self._indices(device)
        if not found:
            kind = "bridge" if device == BRIDGE else "link"
            raise KernelRefused(f"{kind} {device} is missing; run the deploy")
        return found[0]

    def _indices(self, device: str) -> list[int]:
        return [int(index) for index in self._netlink.link_lookup(ifname=device)]
