"""Health of the node's proxy, for external load balancers. Pure.

The proxy is the dataplanes that translate addresses: nftables, and those of the node's proxy mode.
Others do not count: a restart of the DNS server does not remove the node from load balancers.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from groundplane.agent.status import PlaneStatus
from groundplane.proxies.node import names_of_the_proxies

# Dataplanes applied in sequence with the proxies': one that hangs blocks all.
_BESIDE: Final = frozenset({"links", "conntrack"})


class ProxyHealth(NamedTuple):
    """*since* is when the proxy was last as declared, in Unix seconds: now or before; 0 for never."""

    healthy: bool
    since: float


def proxy_health(planes: Iterable[PlaneStatus], now: float, unhealthy_after: float) -> ProxyHealth:
    """Return whether all proxies were loaded once, and none has been out of sync for
    *unhealthy_after* seconds."""
    planes, names = list(planes), names_of_the_proxies()
    proxies = [plane for plane in planes if plane.name in names]
    behind = [plane.since for plane in proxies if plane.error]
    behind += [
        plane.busy_since for plane in planes if plane.busy_since and plane.name in names | _BESIDE
    ]
    loaded = bool(proxies) and all(plane.synced for plane in proxies)
    late = any(now - since > unhealthy_after for since in behind)
    return ProxyHealth(loaded and not late, min([now, *behind]) if loaded else 0.0)
