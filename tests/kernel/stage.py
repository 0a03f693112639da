"""One node in namespaces, for many random packets: whatever it sends somewhere is answered.

    a ── groundplane0 ── node ── uplink ── world
    b ──┘

*world* has every address that is not the node's or one of its workloads': it answers as the other
nodes, their workloads and the outside. Servers say at which address and port they were asked, and
by whom.
"""

import os
import select
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Thread
from typing import Final, NamedTuple

import msgspec

from groundplane.dataplanes.reconcile import Reconciler
from groundplane.node.workload_netns import PORT, entry_of
from groundplane.project.node import capacity, local_workload
from groundplane.project.state import NodeState
from groundplane.simulate import Packet
from groundplane.site.compiled import Sizes
from tests.kernel.spaces import based, namespace
from tests.kernel.world import ip, let_icmp_flow, run, sysctl, within
from tests.rulesets import dataplane
from tests.states import BASE

PORTS: Final = (8080, 8081)
WORKLOADS: Final = {
    "a": ("10.244.1.10", "fd00:244:0:1::10"),
    "b": ("10.244.1.11", "fd00:244:0:1::11"),
}
# No workload of another node: its own node translates what it sends, and the answer's way would
# not lead past this one.
OUTSIDE: Final = (
    *("192.0.2.50", "203.0.113.77", "192.0.2.2"),
    *("2001:db8::50", "2001:db8:77::1", "2001:db8::2"),
)
BASE_OF_STAGE: Final = based(
    workloads=tuple(
        local_workload("default", name, addresses) for name, addresses in WORKLOADS.items()
    ),
    affinity_timeouts=(5, 10800),
    capacity=Sizes(*[capacity(16384)] * len(msgspec.structs.fields(Sizes))),
)


class Seen(NamedTuple):
    """What became of a packet: an answer with who answered and whom it saw, or how it failed."""

    verdict: str  # answered, refused, dropped, or refused or dropped
    address: str = ""
    port: int = 0
    client: str = ""


def _any_socket(family: int, kind: int, port: int) -> socket.socket:
    opened = socket.socket(family, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    opened.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    if kind == socket.SOCK_STREAM:
        opened.listen(1024)
    return opened


def _answer(address: str, port: int, client: str) -> bytes:
    return f"{address} {port} {client}".encode()


class Api:
    """Servers on PORTS of every address that a namespace has, TCP and UDP."""

    def __init__(self, netns: str) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._closing = False
        for family in (socket.AF_INET, socket.AF_INET6):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                for port in PORTS:
                    opened = within(netns, partial(_any_socket, family, kind, port))
                    self._sockets[opened.fileno()] = opened
                    self._poll.register(opened.fileno(), select.EPOLLIN)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            for number, _ in self._poll.poll(0.2):
                with suppress(OSError):
                    self._serve(self._sockets[number])

    def _serve(self, ready: socket.socket) -> None:
        if ready.type == socket.SOCK_STREAM:
            connection, peer = ready.accept()
            with connection:
                own = connection.getsockname()
                connection.sendall(_answer(own[0], own[1], peer[0]))
            return
        _, ancillary, _, peer = ready.recvmsg(64, 64)
        for _, kind, data in ancillary:
            if ready.family == socket.AF_INET and kind == 8:
                own = socket.inet_ntop(socket.AF_INET, data[8:12])
                info = struct.pack("=I4s4s", 0, data[8:12], bytes(4))
                level = socket.IPPROTO_IP
            elif kind == socket.IPV6_PKTINFO:
                own = socket.inet_ntop(socket.AF_INET6, data[:16])
                info, level = data[:16] + struct.pack("=I", 0), socket.IPPROTO_IPV6
            else:
                continue
            answer = _answer(own, ready.getsockname()[1], peer[0])
            ready.sendmsg([answer], [(level, kind, info)], 0, peer)

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        for each in self._sockets.values():
            each.close()
        self._poll.close()


@dataclass
class Stage:
    """The node and all around it; `load` gives it a state, `send` sends packets at once."""

    node: str
    world: str
    workloads: dict[str, str]  # name to namespace
    plane: Reconciler[bytes, bytes]
    _ports: Iterator[int] = field(default_factory=lambda: count(10000))

    def load(self, state: NodeState) -> None:
        within(self.node, lambda: self.plane.apply(state))

    def place_of(self, packet: Packet) -> str:
        if packet.sent_here:
            return self.node
        for name, addresses in WORKLOADS.items():
            if packet.source in addresses:
                return self.workloads[name]
        return self.world

    def send(self, packets: Sequence[Packet], patience: float = 0.25) -> list[Seen]:
        """Send all *packets*, each from a new socket, and return what became of each."""
        seen: dict[int, Seen] = {}
        waiting: dict[int, tuple[int, socket.socket]] = {}  # file number to index and socket
        for index, opened in self._opened(packets):
            packet = packets[index]
            waiting[opened.fileno()] = index, opened
            try:
                opened.connect((packet.destination, packet.port))
                if packet.protocol == "UDP":
                    opened.send(b"?")
            except BlockingIOError:
                pass
            except OSError as error:
                seen[index] = _failure(packet, error)
        end = time.monotonic() + patience
        with select.epoll() as poll:
            for number in waiting:
                poll.register(number, select.EPOLLIN)
            while len(seen) < len(packets) and (left := end - time.monotonic()) > 0:
                for number, _ in poll.poll(left):
                    index, opened = waiting[number]
                    found = _read(packets[index], opened)
                    if found is not None:
                        seen.setdefault(index, found)
                        poll.unregister(number)
        for _, opened in waiting.values():
            opened.close()
        return [seen.get(index, Seen("dropped")) for index in range(len(packets))]

    def _opened(self, packets: Sequence[Packet]) -> Iterator[tuple[int, socket.socket]]:
        """Yield a new socket for each of *packets*, with its index, in the place that sends it."""
        by_place: dict[str, list[int]] = defaultdict(list)
        for index, packet in enumerate(packets):
            by_place[self.place_of(packet)].append(index)
        for place, indexes in by_place.items():
            own = [packets[index] for index in indexes]
            yield from zip(indexes, within(place, partial(self._open_all, own)), strict=True)

    def _open_all(self, packets: Sequence[Packet]) -> list[socket.socket]:
        return [self._open(packet) for packet in packets]

    def _open(self, packet: Packet) -> socket.socket:
        family = socket.AF_INET6 if ":" in packet.source else socket.AF_INET
        kind = socket.SOCK_STREAM if packet.protocol == "TCP" else socket.SOCK_DGRAM
        opened = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if not packet.sent_here and self.place_of(packet) == self.world:
            # Any address is answered there, though nobody has it.
            level = socket.IPPROTO_IPV6 if ":" in packet.source else socket.IPPROTO_IP
            opened.setsockopt(level, 75 if ":" in packet.source else 19, 1)  # IP_TRANSPARENT
        opened.bind((packet.source, 10000 + next(self._ports) % 50000))
        return opened


def _read(packet: Packet, opened: socket.socket) -> Seen | None:
    try:
        answer = opened.recv(256)
    except BlockingIOError:
        return None
    except OSError as error:
        return _failure(packet, error)
    if not answer:
        return Seen("closed")
    address, port, client = answer.decode().split()
    return Seen("answered", address, int(port), client)


def _failure(packet: Packet, error: OSError) -> Seen:
    if isinstance(error, ConnectionRefusedError):
        return Seen("refused")
    if isinstance(error, PermissionError):
        # The node's own output hook: a drop, or what a datagram is told of a refusal too.
        return Seen("refused or dropped" if packet.protocol == "UDP" else "dropped")
    return Seen(os.strerror(error.errno or 0))


@contextmanager
def stage() -> Iterator[Stage]:
    """Build the stage; everything goes with it."""
    with ExitStack() as stack:
        node = stack.enter_context(namespace("stage"))
        world = stack.enter_context(namespace("stage-world"))
        sysctl(
            node,
            net__ipv4__conf__all__send_redirects=0,
            net__ipv4__conf__default__send_redirects=0,
            net__ipv4__ip_forward=1,
            net__ipv6__conf__all__forwarding=1,
        )
        let_icmp_flow(node)
        ip(
            f"-n {node} link add uplink type veth peer name eth0 netns {world}",
            f"-n {node} link set uplink up",
            f"-n {world} link set eth0 up",
            f"-n {node} link add groundplane0 address {BASE.bridge_mac} type bridge",
            f"-n {node} link set groundplane0 up",
            f"-n {node} address add 192.0.2.1/24 dev uplink",
            f"-n {node} address add 2001:db8::1/64 dev uplink nodad",
            f"-n {node} address add 10.244.1.1/24 dev groundplane0",
            f"-n {node} address add fd00:244:0:1::1/64 dev groundplane0 nodad",
            f"-n {world} address add 192.0.2.99/24 dev eth0",
            f"-n {world} address add 2001:db8::99/64 dev eth0 nodad",
            f"-n {node} route add default via 192.0.2.99",
            f"-n {node} -6 route add default via 2001:db8::99",
            f"-n {node} route add 10.96.0.0/24 dev groundplane0 src 192.0.2.1",
            f"-n {node} -6 route add fd00:96::/112 dev groundplane0 src 2001:db8::1",
        )
        for address in ("2001:db8::2", "2001:db8::50"):
            ip(f"-n {world} address add {address}/128 dev eth0 nodad")
        for address in ("192.0.2.2", "192.0.2.50"):
            ip(f"-n {world} address add {address}/32 dev eth0")
        # What is not on the way to the node is here: AnyIP.
        for range_ in ("0.0.0.0/1", "128.0.0.0/1"):
            ip(f"-n {world} route add local {range_} dev lo table main")
        for range_ in ("::/1", "8000::/1"):
            ip(f"-n {world} -6 route add local {range_} dev lo table main")
        for text in ("10.96.0.0/24", "203.0.113.0/28", "10.244.1.0/24", "192.0.2.1/32"):
            ip(f"-n {world} route add {text} via 192.0.2.1 dev eth0 onlink src 192.0.2.99")
        for text in ("fd00:96::/112", "2001:db8:113::/64", "fd00:244:0:1::/64", "2001:db8::1/128"):
            ip(f"-n {world} -6 route add {text} via 2001:db8::1 dev eth0 src 2001:db8::99")
        sysctl(world, net__ipv4__ip_nonlocal_bind=1, net__ipv6__ip_nonlocal_bind=1)
        spaces = {}
        for name, (ipv4, ipv6) in WORKLOADS.items():
            spaces[name] = own = stack.enter_context(namespace(f"stage-{name}"))
            workload = local_workload("default", name, (ipv4, ipv6))
            interface = workload.interface
            ip(
                f"-n {node} link add {interface} type veth peer name eth0 netns {own}",
                f"-n {node} link set {interface} master groundplane0 up",
                f"-n {node} link set {interface} type bridge_slave {' '.join(PORT)}",
                f"-n {own} link set eth0 address {workload.mac} up",
                f"-n {own} address add {ipv4}/32 dev eth0",
                f"-n {own} address add {ipv6}/128 dev eth0 nodad",
                f"-n {own} route add default via 10.244.1.1 dev eth0 onlink",
                f"-n {own} -6 route add default via fd00:244:0:1::1 dev eth0 onlink",
            )
            run(node, *entry_of(workload))
        plane = within(node, dataplane)
        stack.callback(plane.close)
        for netns in (node, world, *spaces.values()):
            answers = Api(netns)
            stack.callback(answers.close)
        yield Stage(node, world, spaces, Reconciler(plane))
