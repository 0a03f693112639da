"""Names of DNS records, and what DNS lets a name, a label, a record set and an answer hold. Pure.

The renderer makes its records from these names and `check` measures them, so that no name of a
record exists that `check` does not know. Names are absolute: they end with a dot.
"""

from typing import Final

from groundplane.net.address import dashed, family_of, network, pack

MAX_LABEL: Final = 63  # octets (RFC 1035, 2.3.4)
MAX_NAME: Final = 253  # characters without the last dot: 255 octets on the wire
# BIND 9.18 refuses a record set of more than 65,508 octets: its data, and two octets for each. The
# header of the set counts too, and other versions have a longer one.
MAX_SET: Final = 65_280
MAX_MESSAGE: Final = 65_535  # octets (RFC 1035, 4.2.2)
MAX_ALIASES: Final = 11  # CNAME records in one answer: BIND's max-query-restarts

_LONGEST_DASHED: Final = {"IPv4": "-".join(["255"] * 4), "IPv6": "-".join(["ffff"] * 8)}


def service_name(domain: str, namespace: str, name: str) -> str:
    return f"{name}.{namespace}.svc.{domain}."


def port_name(port: str, protocol: str, service: str) -> str:
    """Return the owner of the SRV records of *port*, for the absolute name *service*."""
    return f"_{port}._{protocol.lower()}.{service}"


def has_port_name(port: str) -> bool:
    """Return whether SRV records can name *port*: the "_" before it counts as a character."""
    return 0 < len(port) < MAX_LABEL


def member_name(label: str, service: str) -> str:
    """Return the name of an endpoint of the headless *service*."""
    return f"{label}.{service}"


def empty_name(domain: str, namespace: str, name: str) -> str:
    """Return the name that keeps its namespace's name for a headless service without endpoints.

    No service has the label `_empty`, so it is not an answer to a client's question.
    """
    return f"{name}._empty.{namespace}.svc.{domain}."


def parent_names(domain: str) -> tuple[str, ...]:
    """Return names that keep `svc` and `pod` where no service and no workload has a record."""
    return f"_empty.svc.{domain}.", f"_empty.pod.{domain}."


def pod_name(domain: str, namespace: str, address: str) -> str:
    return pod_name_of(domain, namespace, dashed(address))


def pod_name_of(domain: str, namespace: str, label: str) -> str:
    return f"{label}.{namespace}.pod.{domain}."


def longest_label(family: str) -> str:
    """Return the longest label that the address of an endpoint of *family* comes to."""
    return _LONGEST_DASHED[family]


def node_zone(domain: str) -> str:
    """Return the zone of the names of nodes, without a last dot."""
    return f"node.{domain}"


def node_name(domain: str, name: str) -> str:
    return f"{name}.{node_zone(domain)}."


def version_name(domain: str) -> str:
    return f"dns-version.{domain}."


def mailbox(zone: str) -> str:
    """Return the mailbox of *zone*'s SOA: of the zone above, where that is one of RFC 2317.

    Such a zone has a slash in its first label, which no host and no mailbox has (RFC 1123).
    """
    first, _, above = zone.partition(".")
    return f"hostmaster.{above if '/' in first else zone}."


def octets(name: str) -> int:
    """Return the length of the absolute *name* on the wire, uncompressed."""
    return len(name) + 1


def too_long(name: str) -> bool:
    """Return whether DNS cannot carry the absolute *name*."""
    return len(name) - 1 > MAX_NAME


def reverse_name(address: str) -> str:
    """Return the name whose PTR record says what *address* is."""
    packed = pack(address)
    if len(packed) == 4:
        return ".".join(map(str, reversed(packed))) + ".in-addr.arpa."
    return ".".join(reversed(packed.hex())) + ".ip6.arpa."


def reverse_zones(cidr: str) -> list[str]:
    """Return the reverse zones that together cover *cidr*: whole octets or nibbles (RFC 1035, 3596)."""
    step = 8 if family_of(cidr) == "IPv4" else 4
    found = network(cidr)
    whole = max(step, -(-found.prefixlen // step) * step)
    labels = whole // step + 2
    return [_last_labels(str(subnet.ip), labels) for subnet in found.subnet(whole)]


def _last_labels(address: str, labels: int) -> str:
    return ".".join(reverse_name(address).rstrip(".").split(".")[-labels:])
