"""Reverse names of a part of a /24, if the site's own servers have its parent (RFC 2317). Pure.

The nodes serve a zone for each address of such a range; the parent zone can instead delegate the
range as one zone, with one CNAME for each address.
"""

from collections.abc import Iterable
from typing import Final

from groundplane.dataplanes.dns.records import TTL, Record
from groundplane.dataplanes.dns.zones import zone_file
from groundplane.net.address import family_of, from_int, network
from groundplane.net.dns_names import reverse_name

_OCTET: Final = 24


def is_classless(cidr: str) -> bool:
    """Return whether *cidr* is a part of a /24."""
    return family_of(cidr) == "IPv4" and _OCTET < network(cidr).prefixlen < 32


def classless_files(cidr: str, pointers: Iterable[Record]) -> dict[str, str]:
    """Return two files for *cidr*, a part of a /24: a zone of its *pointers*, and lines for its parent.

    File names have a hyphen in place of the slash in the zone's name.
    """
    found = network(cidr)
    parent = reverse_name(str(found.ip)).partition(".")[2].rstrip(".")
    label = f"{found.ip.words[3]}/{found.prefixlen}"
    zone = f"{label}.{parent}"
    own = {reverse_name(from_int(each, "IPv4")) for each in range(found.first, found.last + 1)}
    records = [
        (f"{record.owner.partition('.')[0]}.{zone}.", record.type, record.rdata, TTL)
        for record in pointers
        if record.owner in own
    ]
    lines = [
        f"; Into the zone {parent}, beside NS records of {label} for the servers that have it."
    ]
    numbers = range(found.first & 0xFF, (found.last & 0xFF) + 1)
    lines += [f"{number} {TTL} IN CNAME {number}.{label}" for number in numbers]
    name = zone.replace("/", "-")
    return {f"{name}.zone": zone_file(zone, records), f"{name}.parent": "\n".join(lines) + "\n"}
