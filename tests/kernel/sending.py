"""Datagrams from addresses that the sender has not, and what a node lets pass of them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.kernel.world import World, run, within

TRANSPARENT = {
    socket.AF_INET: (socket.SOL_IP, socket.IP_TRANSPARENT),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 75),  # IPV6_TRANSPARENT
}


def send(netns: str, source: str, address: str, port: int) -> None:
    """Send one datagram."""

    def once() -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(*TRANSPARENT[family], 1)  # from any address
            sender.bind((source, 0))
            sender.sendto(b"?", (address, port))

    within(netns, once)


@contextmanager
def passing(net: World, source: str) -> Iterator[list[int]]:
    """Count what n1 forwards or takes itself from *source*: the list has the number at the end."""
    node, counted = net.node("n1"), list[int]()
    family = "ip6" if ":" in source else "ip"
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -10;"
        f" {family} saddr {source} meta l4proto udp counter; }};"
        for hook in ("forward", "input")
    )
    run(node, "nft", f"table inet seen {{ {chains} }}")
    try:
        yield counted
        words = run(node, "nft", "list", "table", "inet", "seen").split()
        counted.append(sum(int(words[n + 1]) for n, word in enumerate(words) if word == "packets"))
    finally:
        run(node, "nft", "delete table inet seen")
