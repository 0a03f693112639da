"""DNS settings of the Cluster: upstream servers of the nodes, and the nodes' service addresses."""

from collections.abc import Iterator
from typing import Final

from groundplane.check.ranges import outside_ranges, own_ranges, range_fault
from groundplane.documents.catalog import Catalog, key_of
from groundplane.errors import Fault
from groundplane.net import address, names
from groundplane.net.dns_names import reverse_zones

_RESERVED: Final = {
    "localhost": "names of the host itself (RFC 6761)",
    "in-addr.arpa": "the names of IPv4 addresses",
    "ip6.arpa": "the names of IPv6 addresses",
}


def check_dns(catalog: Catalog) -> Iterator[Fault]:
    """Yield the errors in the Cluster's spec.dns."""
    key = key_of(catalog.cluster)
    for index, forwarder in enumerate(catalog.cluster.spec.dns.forwarders):
        yield from outside_ranges(catalog, key, f"spec.dns.forwarders[{index}]", forwarder)
    yield from _own_domain(catalog)
    yield from _tls(catalog)
    yield from _stub_zones(catalog)
    yield from _addresses(catalog)


def _own_domain(catalog: Catalog) -> Iterator[Fault]:
    """Yield an error for a domain that every host resolves locally, or a reverse domain."""
    domain = catalog.cluster.spec.cluster_domain.removesuffix(".")
    key = key_of(catalog.cluster)
    for reserved, meaning in _RESERVED.items():
        if domain == reserved or domain.endswith(f".{reserved}"):
            message = f'"{domain}" has {meaning}; use a domain like cluster.local'
            yield catalog.fault(key, "spec.clusterDomain", message)
            return
    if domain == "arpa":
        message = '"arpa" has the names of all addresses; use a domain like cluster.local'
        yield catalog.fault(key, "spec.clusterDomain", message)


def _tls(catalog: Catalog) -> Iterator[Fault]:
    key, dns = key_of(catalog.cluster), catalog.cluster.spec.dns
    if dns.tls_server_name is None:
        return
    if fault := names.domain(dns.tls_server_name):
        yield catalog.fault(key, "spec.dns.tlsServerName", fault)
    if not dns.forwarders:
        message = "it needs dns.forwarders: nobody else is asked over TLS"
        yield catalog.fault(key, "spec.dns.tlsServerName", message)


def _stub_zones(catalog: Catalog) -> Iterator[Fault]:
    key, spec = key_of(catalog.cluster), catalog.cluster.spec
    own = spec.cluster_domain.removesuffix(".")
    reverse = {zone: cidr for _, cidr in own_ranges(catalog) for zone in reverse_zones(cidr)}
    seen: set[str] = set()
    for index, zone in enumerate(spec.dns.stub_zones):
        path, name = f"spec.dns.stubZones[{index}]", zone.name.removesuffix(".").lower()
        if fault := names.domain(zone.name):
            yield catalog.fault(key, f"{path}.name", fault)
        elif name in seen:
            yield catalog.fault(key, f"{path}.name", f'a second stub zone "{name}"')
        elif f".{name}".endswith(f".{own}"):
            message = f'"{name}" lies in the site\'s own domain {own}'
            yield catalog.fault(key, f"{path}.name", message)
        elif held := next((each for each in reverse if f".{name}".endswith(f".{each}")), None):
            message = (
                f'"{name}" lies in {held}, the reverse zone of the range {reverse[held]}: the '
                "nodes answer for it; remove the stub zone, or use another range"
            )
            yield catalog.fault(key, f"{path}.name", message)
        seen.add(name)
        if not zone.servers:
            yield catalog.fault(key, f"{path}.servers", "at least one address is needed")
        for number, server in enumerate(zone.servers):
            yield from outside_ranges(catalog, key, f"{path}.servers[{number}]", server)


def _addresses(catalog: Catalog) -> Iterator[Fault]:
    key, spec = key_of(catalog.cluster), catalog.cluster.spec
    families: set[str] = set()
    for index, text in enumerate(spec.dns.cluster_ips or ()):
        path = f"spec.dns.clusterIPs[{index}]"
        try:
            address.pack(text)
        except ValueError as error:
            yield catalog.fault(key, path, str(error))
            continue
        family = address.family_of(text)
        ranges = [
            each
            for each in spec.service_cidrs
            if range_fault(each) is None and address.family_of(each) == family
        ]
        if family in families:
            yield catalog.fault(
                key, path, f"a second {family} address; there is one of each family"
            )
        elif not any(_usable(each, text) for each in ranges):
            where = f"the service range {ranges[0]}" if ranges else "a range: services have none"
            yield catalog.fault(key, path, f"{text} is outside {where}")
        families.add(family)


def _usable(cidr: str, text: str) -> bool:
    """Return whether a service can have *text*, an address of *cidr*."""
    first, last = address.first_last(cidr)
    ipv4 = address.family_of(cidr) == "IPv4"
    return address.contains(cidr, text) and first < address.to_int(text) <= last - ipv4
