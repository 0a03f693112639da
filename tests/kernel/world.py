"""A small site in network namespaces: real bridges, routes, rulesets and sockets.

    near ── lan ──┬── n1 ── groundplane0 ──┬── a
    far ────┘     │                        └── b
                  └── n2 ── groundplane0 ───── c

*near* and *far* are outside: the one reaches the site's addresses by its first node, the other by
its last one.
Every name carries the prefix of the world; what an earlier run left behind is swept first.
"""

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from groundplane.dataplanes.links import Links
from groundplane.dataplanes.reconcile import Reconciler
from groundplane.kernel.owned import OVERLAY
from groundplane.net.address import family_of
from groundplane.node.workload_netns import PORT, entry_of, neighbour_of
from groundplane.project import NodeState, project
from groundplane.project.node import project_base
from groundplane.project.state import NodeBase
from groundplane.proxies import proxy_of
from groundplane.proxies.node import planes_of_the_proxies
from groundplane.site import compiled

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
# A port of its own for each connection from a place: of several services with one endpoint, IPVS tells
# connections apart by the client's port alone (docs/decisions/0024-ipvs.md).
_PORTS: Final = defaultdict[str, Iterator[int]](lambda: itertools.cycle(range(33000, 61000)))
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*lines: str) -> None:
    """Run each of *lines* as an ip(8) command."""
    for line in lines:
        done = subprocess.run(["ip", *line.split()], text=True, capture_output=True)
        assert done.returncode == 0, f"ip {line}: {done.stderr}"


def run(netns: str, *command: str) -> str:
    """Return the output of *command* inside *netns*."""
    done = subprocess.run(["ip", "netns", "exec", netns, *command], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def enter(netns: str) -> None:
    """Let this thread join *netns*."""
    descriptor = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), netns)
    finally:
        os.close(descriptor)


def within(netns: str, function: Callable[[], T]) -> T:
    """Return what *function* returns in a thread that has joined *netns*."""

    def entered() -> T:
        enter(netns)
        return function()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(entered).result()


def sysctl(netns: str, **values: int) -> None:
    for name, value in values.items():
        path = Path("/proc/sys", *name.split("__"))
        within(netns, partial(path.write_text, str(value)))


def bridged(netns: str, value: int) -> None:
    """Let br_netfilter show frames to IP's own rules with 1, as Docker does, and not with 0.

    A kernel without the module shows none; where it is wanted, it is loaded.
    """
    if value and not Path("/proc/sys/net/bridge").exists():
        subprocess.run(["modprobe", "br_netfilter"], check=True)
    for program in ("iptables", "ip6tables"):
        path = Path("/proc/sys/net/bridge", f"bridge-nf-call-{program}")
        if value or within(netns, path.exists):
            within(netns, partial(path.write_text, str(value)))


def let_icmp_flow(netns: str) -> None:
    """Take away the limits that the kernel sets to what it refuses: a test asks often."""
    sysctl(netns, net__ipv4__icmp_ratelimit=0, net__ipv6__icmp__ratelimit=0)
    # For all peers together; of the whole machine, and not to be touched, before Linux 6.13.
    for name in ("icmp_msgs_per_sec", "icmp_msgs_burst"):
        path = Path("/proc/sys/net/ipv4", name)
        if within(netns, path.exists):
            within(netns, partial(path.write_text, "100000"))


class Server:
    """Answers every TCP connection and datagram with its name and the address it sees."""

    def __init__(
        self, netns: str, name: str, port: int, addresses: tuple[str, ...] = ("::",)
    ) -> None:
        self.name = name
        self._sockets: list[socket.socket] = []
        for address in addresses:
            within(netns, partial(self._listen, address, port))

    def _listen(self, address: str, port: int) -> None:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            serve = self._serve_tcp if kind == socket.SOCK_STREAM else self._serve_udp
            if kind == socket.SOCK_STREAM:
                listener.listen(1024)
            self._sockets.append(listener)
            threading.Thread(target=serve, args=(listener,), daemon=True).start()

    def _answer(self, peer: str) -> bytes:
        return f"{self.name} {peer.removeprefix('::ffff:')}".encode()

    def _serve_tcp(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, peer = listener.accept()
                with connection, suppress(OSError):
                    connection.sendall(self._answer(peer[0]))

    def _serve_udp(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                _, peer = listener.recvfrom(2048)
                if peer is None:  # shut down
                    return
                listener.sendto(self._answer(peer[0]), peer)

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def ask(
    netns: str, address: str, port: int, protocol: str, *, times: int = 1, patience: float = 10.0
) -> list[str]:
    """Return what *times* new connections from *netns* get: an answer, or how they fail.

    *patience* is how long what is dropped takes, in seconds. Others take the time they need: on an
    emulated machine that shares its CPU, a refusal can take more than one.
    """

    def once() -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
        with socket.socket(family, kind) as client:
            client.settimeout(patience)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", next(_PORTS[netns])))
            try:
                client.connect((address, port))
                if protocol == "UDP":
                    client.send(b"?")
                return client.recv(2048).decode()
            except ConnectionRefusedError:
                return "refused"
            except PermissionError:
                return "refused"  # a reject in the output hook, as UDP sees it
            except TimeoutError:
                return "dropped"
            except OSError as error:
                return os.strerror(error.errno or 0)

    return within(netns, lambda: [once() for _ in range(times)])


class World:
    """The site *site* built in namespaces; use as a context manager."""

    def __init__(self, site: compiled.Site, prefix: str) -> None:
        self.site = site
        self.prefix = prefix
        self.planes: dict[str, list[Reconciler[Any, Any]]] = {}
        self.servers: list[Server] = []

    @property
    def client(self) -> str:
        return f"{self.prefix}-lan"

    @property
    def far(self) -> str:
        return f"{self.prefix}-far"

    def place(self, name: str) -> str:
        """Return the namespace of a node, a workload, or an outside client."""
        outside = {"near": self.client, "far": self.far}
        if name in outside:
            return outside[name]
        if name in {node.name for node in self.site.nodes}:
            return self.node(name)
        return self.workload(name)

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the own addresses of a place, one of each family."""
        outside = {"near": ("192.168.77.1", "fd77::1"), "far": ("192.168.77.2", "fd77::2")}
        known = {n.name: n.addresses for n in self.site.nodes}
        return (outside | known | {w.name: w.addresses for w in self.site.workloads})[name]

    def node(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def workload(self, name: str) -> str:
        return f"{self.prefix}-w-{name}"

    def __enter__(self) -> Self:
        self.sweep()
        try:
            self._build()
        except BaseException:
            self.sweep()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.close()
        for reconcilers in self.planes.values():
            for reconciler in reconcilers:
                reconciler.plane.close()
        self.sweep()

    def sweep(self) -> None:
        for path in Path("/run/netns").glob(f"{self.prefix}-*"):
            subprocess.run(["ip", "netns", "del", path.name], check=False, capture_output=True)

    def _namespace(self, name: str) -> None:
        ip(f"netns add {name}")
        # Addresses are usable at once: nobody else could have them.
        sysctl(name, net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__all__accept_dad=0)

    def _build(self) -> None:
        self._namespace(self.client)
        ip(
            f"-n {self.client} link add lan type bridge",
            f"-n {self.client} link set lan up",
            f"-n {self.client} link set lo up",
            f"-n {self.client} address add 192.168.77.1/24 dev lan",
            f"-n {self.client} address add fd77::1/64 dev lan nodad",
        )
        self._namespace(self.far)
        ip(
            f"-n {self.client} link add far type veth peer name eth0 netns {self.far}",
            f"-n {self.client} link set far master lan up",
            f"-n {self.far} link set eth0 up",
            f"-n {self.far} link set lo up",
            f"-n {self.far} address add 192.168.77.2/24 dev eth0",
            f"-n {self.far} address add fd77::2/64 dev eth0 nodad",
        )
        for node in self.site.nodes:
            self._build_node(node)
        for workload in self.site.workloads:
            self._build_workload(workload)
        self.apply()

    def _build_node(self, node: compiled.Node) -> None:
        name, base = self.node(node.name), project_base(self.site, node.name)
        self._namespace(name)
        # Interfaces take these when they are made.
        sysctl(
            name, net__ipv4__conf__default__send_redirects=0, net__ipv4__conf__all__send_redirects=0
        )
        ip(
            f"-n {self.client} link add {node.name} type veth peer name uplink netns {name}",
            f"-n {self.client} link set {node.name} master lan up",
            f"-n {name} link set lo up",
            f"-n {name} link set uplink up",
            f"-n {name} link add groundplane0 address {base.bridge_mac} type bridge",
            f"-n {name} link set groundplane0 up",
        )
        for address in node.addresses:
            length, extra = (24, "") if family_of(address) == "IPv4" else (64, "nodad")
            ip(f"-n {name} address add {address}/{length} dev uplink {extra}")
        for subnet, address in zip(node.subnets, base.bridge_addresses, strict=True):
            bits = subnet.split("/")[1]
            extra = "" if family_of(subnet) == "IPv4" else "nodad"
            ip(f"-n {name} address add {address}/{bits} dev groundplane0 {extra}")
        if base.overlay:
            self._build_overlay(name, base)
        ip(
            f"-n {name} route add default via 192.168.77.1",
            f"-n {name} -6 route add default via fd77::1",
        )
        sysctl(
            name,
            net__ipv4__ip_forward=1,
            net__ipv6__conf__all__forwarding=1,
            net__netfilter__nf_conntrack_tcp_be_liberal=1,
        )
        let_icmp_flow(name)
        own = proxy_of(node.proxy_mode).sysctls  # as the deploy sets them
        sysctl(name, **{key.replace(".", "__"): value for key, value in own.items()})
        ways = {self.site.nodes[0].name: self.client, self.site.nodes[-1].name: self.far}
        if node.name in ways:
            for cidr in (*self.site.service_cidrs, *self.site.external_cidrs):
                self._route(ways[node.name], cidr, node)
        for subnet in node.subnets:
            self._route(self.client, subnet, node)
            self._route(self.far, subnet, node)

    def _build_overlay(self, netns: str, base: NodeBase) -> None:
        """Make what networkd does of templates/60-groundplane1.*, and the bridge's MTU."""
        assert base.overlay
        ip(
            f"-n {netns} link add {OVERLAY} mtu {base.mtu} type vxlan external gpe"
            f" dstport {base.overlay.port}",
            f"-n {netns} link set {OVERLAY} up",
            f"-n {netns} link set groundplane0 mtu {base.mtu}",
        )
        for address in base.bridge_addresses:
            bits, extra = (32, "") if family_of(address) == "IPv4" else (128, "nodad")
            ip(f"-n {netns} address add {address}/{bits} dev {OVERLAY} {extra}")

    def _route(self, netns: str, cidr: str, node: compiled.Node) -> None:
        via = next(a for a in node.addresses if family_of(a) == family_of(cidr))
        ip(f"-n {netns} route add {cidr} via {via}")

    def _build_workload(self, workload: compiled.Workload) -> None:
        name, node = self.workload(workload.name), self.node(workload.node)
        base = project_base(self.site, workload.node)
        local = next(each for each in base.workloads if each.name == workload.name)
        interface = local.interface
        self._namespace(name)
        ip(
            f"-n {node} link add {interface} mtu {base.mtu} type veth"
            f" peer name eth0 mtu {base.mtu} netns {name}",
        )
        sysctl(node, **{f"net__ipv6__conf__{interface}__disable_ipv6": 1})
        ip(
            f"-n {node} link set {interface} master groundplane0 up",
            f"-n {node} link set {interface} type bridge_slave {' '.join(PORT)}",
            f"-n {name} link set lo up",
            f"-n {name} link set eth0 address {local.mac} up",
        )
        run(node, *entry_of(local))
        gateways = {family_of(address): address for address in base.bridge_addresses}
        for address in workload.addresses:
            family = family_of(address)
            flag, bits, extra = ("-4", 32, "") if family == "IPv4" else ("-6", 128, "nodad")
            ip(
                f"-n {name} address add {address}/{bits} dev eth0 {extra}",
                f"-n {name} {flag} route add default via {gateways[family]} dev eth0 onlink",
                f"-n {name} {' '.join(neighbour_of(base, gateways[family]))}",
            )

    def apply(self, failing: frozenset[tuple[str, str]] = frozenset()) -> None:
        """Bring links, IPVS and nftables of every node to the site."""
        for node in self.site.nodes:
            state = project(self.site, node.name, failing)
            within(self.node(node.name), partial(self._apply, node.name, state))

    def _apply(self, node: str, state: NodeState) -> None:
        if node not in self.planes:
            self.planes[node] = [Reconciler(each) for each in (Links(), *planes_of_the_proxies())]
        for reconciler in self.planes[node]:
            reconciler.apply(state)

    def serve(
        self, netns: str, name: str, port: int, addresses: tuple[str, ...] = ("::",)
    ) -> Server:
        server = Server(netns, name, port, addresses)
        self.servers.append(server)
        return server


@contextmanager
def world(site: compiled.Site, prefix: str) -> Iterator[World]:
    with World(site, prefix) as built:
        yield built
