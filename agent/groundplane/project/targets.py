"""Targets: the selected endpoints of a service as packed addresses and ports.

The code is flat for speed, since it processes every endpoint of the site.
"""

from collections.abc import Sequence
from typing import Final

from groundplane.net.protocols import Family
from groundplane.project.apportionment import hash_table, numbers, share_out
from groundplane.project.select_endpoints import Place, SelectedEndpoints, select_again
from groundplane.project.state import NONE, Targets, split_targets
from groundplane.site import compiled
from groundplane.site.map_limits import MAX_STICKY_ENDPOINTS

_WIDTHS: Final = {"IPv4": 4, "IPv6": 16}


def targets(
    service: compiled.Service, family: Family, place: Place, of_all: SelectedEndpoints
) -> list[Targets]:
    """Return the targets of each port of *service* in *family*; *of_all* are the endpoints selected
    regardless of whether they have the port and an address."""
    endpoints, width = service.endpoints, _WIDTHS[family]
    packed = bytes.fromhex(endpoints.ipv4 if family == "IPv4" else endpoints.ipv6)
    if not packed:
        return [NONE] * len(service.ports)
    addresses = split_targets(packed, width)
    whole = bytes(width) not in addresses
    # An endpoint without a slot (weight 0, or one of many with consistent hashing) keeps its flows.
    slotless = 0 in endpoints.weights or service.consistent_hash
    # The common case: each endpoint has one slot, and its flows continue as long as it has that.
    simple = not (endpoints.weights or service.consistent_hash or service.affinity_seconds) and (
        len(set(addresses)) == len(addresses) and not of_all.local
    )
    some = _chosen(addresses, of_all.cluster)
    found = []
    for port, target in zip(service.ports, endpoints.targets, strict=True):
        if whole and isinstance(target, int) and target:
            suffix = _PORTS[target]
            if simple and (port.protocol == "TCP" or of_all.serving is of_all.cluster):
                found.append(Targets(width + 2, suffix.join(some) + suffix) if some else NONE)
                continue
            every, chosen = [address + suffix for address in addresses], of_all
        else:
            every = _partial(addresses, target)
            chosen = select_again(service, place, of_all, every)
        serving = None
        if port.protocol != "TCP" and (slotless or chosen.serving is not chosen.cluster):
            serving = _distinct(every, chosen.serving)
        found.append(
            Targets.of(
                _slots(service, every, chosen.cluster),
                _slots(service, every, chosen.local) if chosen.local else (),
                serving,
                _numbers(every) if service.affinity_seconds else None,
            )
        )
    return found


def _partial(addresses: Sequence[bytes], target: int | tuple[int, ...]) -> list[bytes]:
    """Return each endpoint's target; b"" for one without an address or port."""
    none = bytes(len(addresses[0]))
    ports = (target,) * len(addresses) if isinstance(target, int) else target
    return [
        address + _PORTS[port] if port and address != none else b""
        for address, port in zip(addresses, ports, strict=True)
    ]


def _chosen(every: Sequence[bytes], chosen: Sequence[int]) -> Sequence[bytes]:
    return every if len(chosen) == len(every) else [every[index] for index in chosen]


def _distinct(every: list[bytes], chosen: Sequence[int]) -> tuple[bytes, ...]:
    """Return the distinct targets in *every* at the indices *chosen*.

    Two endpoints at one address and port (workloads of one host network) are one target.
    """
    found = dict.fromkeys(_chosen(every, chosen))
    found.pop(b"", None)
    return tuple(found)


def _slots(
    service: compiled.Service, every: list[bytes], chosen: Sequence[int]
) -> tuple[bytes, ...]:
    """Return the slots of *chosen*; a target of two endpoints has the weight of both."""
    weights = service.endpoints.weights
    if not weights and not service.consistent_hash:
        return _distinct(every, chosen)
    by_target: dict[bytes, int] = {}
    for index in chosen:
        if every[index]:
            weight = weights[index] if weights else 1
            by_target[every[index]] = by_target.get(every[index], 0) + weight
    if not by_target:
        return ()
    names, heavy = list(by_target), list(by_target.values())
    if service.consistent_hash:
        return tuple([names[index] for index in hash_table(names, heavy)])
    shares = zip(names, share_out(heavy), strict=True)
    return tuple([name for name, share in shares for _ in range(share)])


def _numbers(every: Sequence[bytes]) -> dict[bytes, int]:
    """Return a number for each target, independent of health: session affinity stores it."""
    return numbers([each for each in dict.fromkeys(every) if each], MAX_STICKY_ENDPOINTS)


class _PortBytes(dict[int, bytes]):
    """Packed ports, made on first use."""

    def __missing__(self, port: int) -> bytes:
        self[port] = packed = port.to_bytes(2, "big")
        return packed


_PORTS = _PortBytes()
