"""What the guard of the workloads' bridge costs: connections between two workloads of one node.

    python -m bench.guard [--rounds 10] [--connections 2000]

Workload b connects to a, directly and by a's service, in two sites of the same build: in the second
one the rules that look at who sends are taken away. Rounds alternate between the sites, and the ratio
is the median of the rounds' ratios.
"""

import argparse
import socket
import statistics
import time
from contextlib import ExitStack
from functools import partial
from typing import Final

from tests.kernel.spaces import own
from tests.kernel.test_out_of_window import site
from tests.kernel.world import World, run, within, world

WAYS: Final = {"directly": ("10.244.1.10", 8080), "by a cluster IP": ("10.96.0.11", 80)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=2000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        sites = [stack.enter_context(world(site(), own(f"bench{n}"))) for n in range(2)]
        for net in sites:
            net.serve(net.workload("a"), "a", 8080)
        _open(sites[1])
        for name, (address, port) in WAYS.items():
            pairs = [
                tuple(_connect(net, address, port, arguments.connections) for net in sites)
                for _ in range(arguments.rounds)
            ]
            guarded, open_ = (statistics.median(each) * 1e6 for each in zip(*pairs, strict=True))
            ratio = statistics.median(one / other for one, other in pairs)
            print(f"{name:20}{guarded:8.1f} us guarded{open_:8.1f} us open{ratio:8.3f} x")


def _open(net: World) -> None:
    """Take away what looks at who sends."""
    node = net.node("n1")
    run(node, "nft", "delete table bridge groundplane")
    for family in ("ip", "ip6"):
        if "mangle-prerouting" in run(node, "nft", "list table", family, "groundplane"):
            run(node, "nft", f"flush chain {family} groundplane mangle-prerouting")


def _connect(net: World, address: str, port: int, times: int) -> float:
    """Return the seconds of a connection from b, median of *times*."""
    return statistics.median(within(net.workload("b"), partial(_times, address, port, times)))


def _times(address: str, port: int, times: int) -> list[float]:
    found = []
    for _ in range(times):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            start = time.perf_counter()
            client.connect((address, port))
            found.append(time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
