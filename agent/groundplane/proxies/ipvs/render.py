"""`render`: the part of a NodeState to virtual servers and destinations. Pure."""

from collections import Counter
from collections.abc import Sequence
from math import gcd
from typing import Final

from groundplane.net.address import family_of
from groundplane.net.proxy import scheduler_of
from groundplane.project.state import NodeBase, Part, VirtualPort, VirtualService
from groundplane.proxies.ipvs.objects import (
    METHODS,
    PERSISTENT,
    Scheduling,
    ServerKey,
    Value,
    destination_value,
    flags_of,
    marked_server,
    server,
)

_HASHING: Final = ("sh", "mh")
_WEIGHTED: Final = {"rr": "wrr", "lc": "wlc"}  # the equivalents that respect weights


def render(base: NodeBase, part: Part) -> dict[ServerKey, Value]:
    """Return the objects of *part*; none if the node has another proxy mode.

    A server's key comes before those of its destinations. A server without endpoints is omitted:
    the rules reject or drop its packets.
    """
    objects: dict[ServerKey, Value] = {}
    if base.proxy_mode != "ipvs" or not isinstance(part, VirtualService):
        return objects
    for address in part.cluster_ips:  # one of each family
        family = family_of(address)
        outside = [
            each for each in part.external_ips + part.load_balancer_ips if family_of(each) == family
        ]
        for port in part.ports:
            targets = port.targets(family)
            inside = targets.local if part.internal_local else targets.cluster
            _add(objects, base, part, server(address, port.protocol, port.port), inside)
            ways = [server(each, port.protocol, port.port) for each in outside]
            ways += _node_ports(base, port, family)
            for way in ways:
                from_outside = targets.local if part.external_local else targets.cluster
                _add(objects, base, part, way, from_outside)
            if ways and part.external_local:
                # Traffic from the node and its workloads follows policy Cluster.
                way = marked_server(family, port.protocol, port.pool)
                _add(objects, base, part, way, targets.cluster)
    return objects


def _node_ports(base: NodeBase, port: VirtualPort, family: str) -> list[ServerKey]:
    if not port.node_port:
        return []
    own = (each for each in base.addresses if family_of(each) == family)
    return [server(each, port.protocol, port.node_port) for each in own]


def _add(
    objects: dict[ServerKey, Value],
    base: NodeBase,
    service: VirtualService,
    key: ServerKey,
    slots: Sequence[bytes],
) -> None:
    """Add the server *key*, and one destination for all the slots of a target."""
    if not slots:
        return
    weights: dict[bytes, int] = dict.fromkeys(slots, 1)
    if len(weights) < len(slots) and not service.consistent_hash:
        weights = Counter(slots)
        common = gcd(*weights.values())
        weights = {target: count // common for target, count in weights.items()}
    objects[key] = _scheduling(base, service, key, equal=len(set(weights.values())) == 1)
    method = METHODS[service.forwarding]
    objects.update(
        (key + target, destination_value(weight, method)) for target, weight in weights.items()
    )


def _scheduling(
    base: NodeBase, service: VirtualService, key: ServerKey, *, equal: bool
) -> Scheduling:
    if service.consistent_hash:
        return Scheduling("mh", flags_of(("mh-fallback",)))
    name, names = scheduler_of(service.scheduler or base.ipvs.scheduler)
    if not equal:
        name = _WEIGHTED.get(name, name)
    # Without fallback, a hashing scheduler refuses clients whose hash selects a draining endpoint.
    flags = flags_of((*names, f"{name}-fallback")) if name in _HASHING else flags_of(names)
    # Behind a mark, a persistent connection goes to the requested port (ip_vs_sched_persist).
    if service.affinity_seconds and key[1]:
        return Scheduling(name, flags | PERSISTENT, service.affinity_seconds)
    return Scheduling(name, flags)
