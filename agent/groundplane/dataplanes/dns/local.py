"""Zones that every node answers locally: those of the host, and of names that do not exist. Pure.

RFC 6303 lists those of addresses, RFC 6761 those of names. If the site has its own resolvers, they
answer for private and documentation ranges, but never for names of the querying host itself.
"""

from collections.abc import Iterator
from typing import Final

from groundplane.dataplanes.dns.records import TTL
from groundplane.dataplanes.dns.zones import zone_file, zones_of
from groundplane.project.state import NodeBase

LOCAL_DIRECTORY: Final = "/etc/bind/groundplane"

_NIBBLES: Final = ".".join("0" * 31)
# Owner, type and data of the records of the zones that are not empty.
_HOST: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "localhost": tuple(
        (owner, type_, data)
        for owner in ("localhost.", "*.localhost.")
        for type_, data in (("A", "127.0.0.1"), ("AAAA", "::1"))
    ),
    "127.in-addr.arpa": (("1.0.0.127.in-addr.arpa.", "PTR", "localhost."),),
    f"1.{_NIBBLES}.ip6.arpa": ((f"1.{_NIBBLES}.ip6.arpa.", "PTR", "localhost."),),
}
# The host itself as yet without an address, all on its link, and link-local ones.
_EMPTY: Final = (
    "invalid",
    "0.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "254.169.in-addr.arpa",
    f"0.{_NIBBLES}.ip6.arpa",
    *(f"{nibble}.e.f.ip6.arpa" for nibble in "89ab"),
)
# Those that BIND creates itself if it has no forwarders (`empty-zones-enable`).
_PRIVATE: Final = frozenset(
    {
        "10.in-addr.arpa",
        *(f"{number}.172.in-addr.arpa" for number in range(16, 32)),
        "168.192.in-addr.arpa",
        *(f"{number}.100.in-addr.arpa" for number in range(64, 128)),
        "2.0.192.in-addr.arpa",
        "100.51.198.in-addr.arpa",
        "113.0.203.in-addr.arpa",
        "d.f.ip6.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa",
        "empty.as112.arpa",
        "home.arpa",
    }
)


def empty_zones(base: NodeBase) -> tuple[str, ...]:
    """Return the empty zones that BIND does not create itself."""
    others = _others(base)
    delegating = delegations(base)
    wanted = _EMPTY if base.forwarders else (*_EMPTY, "test")
    return tuple(zone for zone in wanted if zone not in others and zone not in delegating)


def delegations(base: NodeBase) -> dict[str, tuple[str, ...]]:
    """Return the stub zones below zones that have no other names, by those zones.

    BIND asks no other server for a name in its own zone, unless the zone delegates that name.
    """
    others = _others(base)
    wanted = {*_HOST, *_EMPTY} | (set() if base.forwarders else {*_PRIVATE, "test"})
    found: dict[str, tuple[str, ...]] = {}
    for stub in base.stub_zones:
        for above in _above(stub.name):
            if above in others:
                break  # a longer zone leads there, or has it asked of its own servers
            if above in wanted:
                found[above] = (*found.get(above, ()), stub.name)
    return found


def local_files(base: NodeBase) -> dict[str, str]:
    """Return the zone files of the local zones that have records, by their zones."""
    others, delegating = _others(base), delegations(base)
    zones = [*(zone for zone in _HOST if zone not in others), *delegating]
    return {
        zone: zone_file(
            zone,
            [
                *((*record, TTL) for record in _HOST.get(zone, ())),
                *((f"{stub}.", "NS", "localhost.", TTL) for stub in delegating.get(zone, ())),
            ],
        )
        for zone in dict.fromkeys(zones)
    }


def _others(base: NodeBase) -> frozenset[str]:
    """Return the zones of the site and the stub zones, which are not local."""
    return frozenset({*zones_of(base), *(each.name for each in base.stub_zones)})


def _above(zone: str) -> Iterator[str]:
    """Yield the names above *zone*, the nearest first."""
    rest = zone.partition(".")[2]
    while rest:
        yield rest
        rest = rest.partition(".")[2]
