"""Record sets of headless services: whether they fit into a zone and into an answer. Pure.

A set has a record for each endpoint, so it is known only after allocation.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from groundplane.documents.catalog import Catalog, DocumentKey
from groundplane.errors import Fault
from groundplane.net import dns_names
from groundplane.net.address import dashed
from groundplane.net.dns_names import MAX_MESSAGE, MAX_SET
from groundplane.net.protocols import Family
from groundplane.site.compiled import Endpoint, Service, Site

# Fewer records than this always fit into an answer: each has at most 18 octets and a name.
FEW: Final = MAX_MESSAGE // (18 + 255) - 2
_IN_SET: Final = 2  # octets that a server needs for a record beside its data
_IN_ANSWER: Final = 12  # octets of an owner that was named before, type, class, TTL and length
_SRV: Final = 6  # octets before the target
# Header, type and class of the question, and an OPT record with a cookie (RFC 6891, 7873).
_MESSAGE: Final = 12 + 4 + 11 + 28
_LENGTHS: Final[dict[Family, int]] = {"IPv4": 4, "IPv6": 16}
_TYPES: Final[dict[Family, str]] = {"IPv4": "A", "IPv6": "AAAA"}


class _Set(NamedTuple):
    """A record set: its owner and type, and the size in octets of each record's data.

    *compressed* is that size in an answer, after name compression.
    """

    key: DocumentKey
    owner: str
    type: str
    records: int
    data: int
    compressed: int

    @property
    def in_zone(self) -> int:
        return self.data + _IN_SET * self.records

    @property
    def in_answer(self) -> int:
        return self.compressed + _IN_ANSWER * self.records + _MESSAGE + dns_names.octets(self.owner)

    def __str__(self) -> str:
        return f"the {self.records} {self.type} records of {self.owner.removesuffix('.')}"


def check_answers(catalog: Catalog, site: Site) -> Iterator[Fault]:
    """Yield an error for each record set of *site* that fits no zone."""
    for each in _sets(site):
        if each.in_zone > MAX_SET:
            message = (
                f"{each} take {each.in_zone} octets, and a zone has room for {MAX_SET}; "
                "use several services"
            )
            yield catalog.fault(each.key, "", message)


def answer_warnings(catalog: Catalog, site: Site) -> Iterator[Fault]:
    """Yield a warning for each record set of *site* that fits a zone but no answer."""
    for each in _sets(site):
        if each.in_answer > MAX_MESSAGE and each.in_zone <= MAX_SET:
            message = (
                f"{each} come to an answer of {each.in_answer} octets, and a DNS message has at "
                f"most {MAX_MESSAGE}: clients get an empty answer; use several services"
            )
            yield catalog.fault(each.key, "", message)


def _sets(site: Site) -> Iterator[_Set]:
    """Yield the record sets of *site* that may be too large."""
    headless = [each for each in site.services if not (each.cluster_ips or each.external_name)]
    for service in headless:
        if service.endpoints.count * len(service.families) > FEW:
            yield from _of_service(site.domain, service)
    if len(headless) > FEW:
        yield from _pointers(site.domain, headless)


def _of_service(domain: str, service: Service) -> Iterator[_Set]:
    """Yield the sets of *service*'s name and of its ports. Sets of endpoints are parts of these."""
    key = DocumentKey("Service", *service.key)
    name = dns_names.service_name(domain, *service.key)
    members = list(_members(service))
    for family in service.families:
        addresses = {text for row in service.endpoints.rows() if (text := row.address(family))}
        octets = _LENGTHS[family] * len(addresses)
        yield _Set(key, name, _TYPES[family], len(addresses), octets, octets)
    for number, port in enumerate(service.ports):
        if not dns_names.has_port_name(port.name):
            continue
        owner = dns_names.port_name(port.name, port.protocol, name)
        targets = {(row.targets[number], label) for row, label, _ in members if row.targets[number]}
        # No name in an SRV record is compressed (RFC 2782).
        octets = sum(
            _SRV + dns_names.octets(dns_names.member_name(label, name)) for _, label in targets
        )
        yield _Set(key, owner, "SRV", len(targets), octets, octets)


def _pointers(domain: str, services: Iterable[Service]) -> Iterator[_Set]:
    """Yield the PTR sets of each address that is an endpoint of many services."""
    names: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for service in services:
        for _, label, address in _members(service):
            names[address].add((*service.key, label))
    for address, found in names.items():
        if len(found) <= FEW:
            continue
        first = DocumentKey("Service", *min(found)[:2])
        data = compressed = 0
        namespaces = set()
        for namespace, name, label in found:
            member = dns_names.member_name(label, dns_names.service_name(domain, namespace, name))
            data += dns_names.octets(member)
            # After the service's label a name is a compression pointer, except where its namespace
            # occurs for the first time.
            compressed += len(label) + 1 + len(name) + 1 + 2
            namespaces.add(namespace)
        compressed += sum(len(each) + 1 for each in namespaces)
        owner = dns_names.reverse_name(address)
        yield _Set(first, owner, "PTR", len(found), data, compressed)


def _members(service: Service) -> Iterator[tuple[Endpoint, str, str]]:
    """Yield each endpoint of *service* with its label and address, once for each family."""
    for row in service.endpoints.rows():
        for family in service.families:
            if address := row.address(family):
                yield row, row.hostname or dashed(address), address
