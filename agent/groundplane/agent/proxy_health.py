"""Whether the node's proxy is as declared, for load balancers outside. Pure.

The proxy is what translates addresses: nftables, and IPVS where a node uses it. Other dataplanes
do not count: a DNS server that restarts takes no node out of a load balancer.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from groundplane.agent.status import PlaneStatus

PROXIES: Final = ("nftables", "ipvs")
# Dataplanes of the proxies' lane are brought one after the other: one that hangs holds up all.
_LANE: Final = ("links", "ipvs", "nftables", "conntrack")


class ProxyHealth(NamedTuple):
    """*since* is when the proxy was last as declared, in Unix seconds: now or before; 0 for never."""

    healthy: bool
    since: float


def proxy_health(planes: Iterable[PlaneStatus], now: float, unhealthy_after: float) -> ProxyHealth:
    """Return whether every proxy was loaded once, and none is behind for *unhealthy_after* seconds."""
    planes = list(planes)
    proxies = [plane for plane in planes if plane.name in PROXIES]
    behind = [plane.since for plane in proxies if plane.error]
    behind += [plane.busy_since for plane in planes if plane.busy_since and plane.name in _LANE]
    loaded = bool(proxies) and all(plane.synced for plane in proxies)
    late = any(now - since > unhealthy_after for since in behind)
    return ProxyHealth(loaded and not late, min([now, *behind]) if loaded else 0.0)
