"""Zones: which ones a node serves, and their files."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from groundplane.net import dns_names
from groundplane.net.dns_names import reverse_zones
from groundplane.project.state import NodeBase
from groundplane.rendering import render_template

ZONE_DIRECTORY: Final = "/var/lib/bind/groundplane"
JOURNAL_DIRECTORY: Final = f"{ZONE_DIRECTORY}/journals"


def zones_of(base: NodeBase) -> tuple[str, ...]:
    """Return the site's zones: its domain, its nodes' zone, and its ranges' reverse zones."""
    return _zones(base.domain, (*base.service_cidrs, *base.workload_cidrs))


def node_zone(base: NodeBase) -> str:
    """Return the zone with the names of the nodes."""
    return dns_names.node_zone(base.domain)


@lru_cache(maxsize=16)
def _zones(domain: str, ranges: tuple[str, ...]) -> tuple[str, ...]:
    return (
        domain,
        dns_names.node_zone(domain),
        *(zone for cidr in ranges for zone in reverse_zones(cidr)),
    )


def reverse_zone_of(base: NodeBase, owner: str) -> str | None:
    """Return the site's reverse zone that contains *owner* or has it as its apex; None for none."""
    zones = _reverse_zones((*base.service_cidrs, *base.workload_cidrs))
    rest = owner.removesuffix(".")
    while rest and rest not in zones:
        rest = rest.partition(".")[2]
    return rest or None


@lru_cache(maxsize=16)
def _reverse_zones(ranges: tuple[str, ...]) -> frozenset[str]:
    return frozenset(zone for cidr in ranges for zone in reverse_zones(cidr))


def zone_file(zone: str, records: Iterable[tuple[str, str, str, int]], serial: int = 1) -> str:
    """Return a zone file of *records* (owner, type, rdata, TTL)."""
    return render_template(
        "zone.j2",
        zone=zone,
        mailbox=dns_names.mailbox(zone),
        records=sorted(records),
        serial=serial,
    )
