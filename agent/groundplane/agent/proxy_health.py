"""Whether the node's proxy is as declared, for load balancers outside. Pure.

The proxy is the dataplanes that translate addresses: nftables, and those of the node's proxy mode. Others
do not count: a DNS server that restarts takes no node out of a load balancer.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from groundplane.agent.status import PlaneStatus
from groundplane.proxies.node import names_of_the_proxies

# Dataplanes that are applied with the proxies', one after the other: one that hangs holds up all.
_BESIDE: Final = frozenset({"links", "conntrack"})


class ProxyHealth(NamedTuple):
    """*since* is when the proxy was last as declared, in Unix seconds: now or before; 0 for never."""

    healthy: bool
    since: float


def proxy_health(planes: Iterable[PlaneStatus], now: float, unhealthy_after: float) -> ProxyHealth:
    """Return whether every proxy was loaded once, and none is behind for *unhealthy_after* seconds."""
    planes, names = list(planes), names_of_the_proxies()
    proxies = [plane for plane in planes if plane.name in names]
    behind = [plane.since for plane in proxies if plane.error]
    behind += [
        plane.busy_since for plane in planes if plane.busy_since and plane.name in names | _BESIDE
    ]
    loaded = bool(proxies) and all(plane.synced for plane in proxies)
    late = any(now - since > unhealthy_after for since in behind)
    return ProxyHealth(loaded and not late, min([now, *behind]) if loaded else 0.0)
