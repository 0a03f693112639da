"""Names of DNS records: all names fit into DNS (RFC 1035), whatever the addresses are."""

from collections.abc import Iterator
from typing import Final

from groundplane.check.endpoints import Slices
from groundplane.documents import dns
from groundplane.documents.catalog import Catalog, DocumentKey, key_of
from groundplane.documents.families import site_families
from groundplane.documents.selector import LabelIndex
from groundplane.documents.service import ACCEPTED, TOP_LEVEL_DOMAIN, Service
from groundplane.documents.top_level_domains import TOP_LEVEL_DOMAINS
from groundplane.errors import Fault
from groundplane.net import dns_names

# BIND's names for the key files of a zone, and the longest file name on Linux.
_KEY_FILE: Final = "K{zone}.+013+65535.private"
_MAX_FILE: Final = 255


def check_dns_names(catalog: Catalog, index: LabelIndex, slices: Slices) -> Iterator[Fault]:
    """Yield an error for each object whose longest name is too long for DNS."""
    yield from _cluster(catalog)
    domain = _domain(catalog)
    for node in catalog.nodes.values():
        longest = dns_names.node_name(domain, node.name)
        yield from _measured(catalog, key_of(node), "metadata.name", longest)
    yield from _workloads(catalog)
    for service in catalog.services.values():
        longest = max(_service(catalog, service, index, slices), key=_length)
        yield from _measured(catalog, key_of(service), "metadata.name", longest)


def name_warnings(service: Service) -> Iterator[tuple[str, str]]:
    """Yield path and warning of each port of *service* that no SRV record can name."""
    for number, port in enumerate(service.spec.ports):
        if port.name and not dns_names.has_port_name(port.name) and not service.external:
            most = dns_names.MAX_LABEL - 1
            yield (
                f"spec.ports[{number}].name",
                (
                    f'"{port.name[:20]}…" has {len(port.name)} characters, so the port has no SRV '
                    f"record; use at most {most}"
                ),
            )


def namespace_warnings(catalog: Catalog) -> Iterator[Fault]:
    """Yield a warning for the first service of each namespace that is a top-level domain.

    Workloads look up a name of few dots below `svc.cluster.local` first (ndots in resolv.conf(5)).
    """
    seen = {
        each.metadata.name
        for each in catalog.namespaces.values()
        if each.metadata.annotations.get(TOP_LEVEL_DOMAIN) == ACCEPTED
    }
    for namespace, name in catalog.services:
        if namespace in TOP_LEVEL_DOMAINS and namespace not in seen:
            seen.add(namespace)
            message = (
                f'"{namespace}" is a top-level domain: to workloads, {name}.{namespace} is this '
                f"service and not that host; use another name, or write the annotation "
                f"{TOP_LEVEL_DOMAIN}: {ACCEPTED} into a Namespace document"
            )
            key = DocumentKey("Service", namespace, name)
            yield catalog.fault(key, "metadata.namespace", message)


def _domain(catalog: Catalog) -> str:
    return catalog.cluster.spec.cluster_domain.removesuffix(".")


def _cluster(catalog: Catalog) -> Iterator[Fault]:
    """Yield an error if the domain is too long for the names that every cluster has."""
    domain, spec = _domain(catalog), catalog.cluster.spec
    zone = dns_names.node_zone(domain)
    names = [dns_names.version_name(domain), dns_names.mailbox(zone)]
    if spec.dns.cluster_ips != ():
        namespace, name = dns.NAME
        service = dns_names.service_name(domain, namespace, name)
        names += [dns_names.port_name(port, protocol, service) for port, protocol in dns.PORTS]
    key = key_of(catalog.cluster)
    found = list(_measured(catalog, key, "spec.clusterDomain", max(names, key=_length)))
    file = _KEY_FILE.format(zone=zone)
    if spec.dns.dnssec and not found and len(file) > _MAX_FILE:
        message = (
            f"the file of a key of the zone {zone} has a name of {len(file)} characters, "
            f"a file's has at most {_MAX_FILE}; use a shorter domain"
        )
        found.append(catalog.fault(key, "spec.clusterDomain", message))
    yield from found


def _workloads(catalog: Catalog) -> Iterator[Fault]:
    """Yield an error for a namespace's first workload if the namespace makes names too long."""
    domain, seen = _domain(catalog), set[str]()
    label = _longest_dashed(catalog)
    for workload in catalog.workloads.values():
        namespace = workload.metadata.namespace
        if workload.spec.host_network or namespace in seen:
            continue
        seen.add(namespace)
        longest = dns_names.pod_name_of(domain, namespace, label)
        yield from _measured(catalog, key_of(workload), "metadata.namespace", longest)


def _service(
    catalog: Catalog, service: Service, index: LabelIndex, slices: Slices
) -> Iterator[str]:
    """Yield the names that *service* may have, with only the longest address of its endpoints."""
    meta, domain = service.metadata, _domain(catalog)
    name = dns_names.service_name(domain, meta.namespace, meta.name)
    yield name
    if service.external:
        return
    for port in service.spec.ports:
        if dns_names.has_port_name(port.name):
            yield dns_names.port_name(port.name, port.protocol, name)
    if not service.headless:
        return
    yield dns_names.empty_name(domain, meta.namespace, meta.name)
    hostnames = {
        each.spec.hostname for each in index.matching(meta.namespace, service.spec.selector)
    } | {
        endpoint.hostname
        for each in slices.get((meta.namespace, meta.name), ())
        for endpoint in each.endpoints
    }
    for hostname in hostnames:
        yield dns_names.member_name(hostname or _longest_dashed(catalog), name)


def _longest_dashed(catalog: Catalog) -> str:
    labels = map(dns_names.longest_label, site_families(catalog.cluster))
    return max(labels, key=len, default="")


def _length(name: str) -> tuple[int, str]:
    """Return the sort key of a name: names of equal length sort the same in every process."""
    return len(name), name


def _measured(catalog: Catalog, key: DocumentKey, path: str, name: str) -> Iterator[Fault]:
    if dns_names.too_long(name):
        shown = name.removesuffix(".")
        message = (
            f"the DNS name {shown} has {len(shown)} characters, DNS has at most "
            f"{dns_names.MAX_NAME}; use a shorter one"
        )
        yield catalog.fault(key, path, message)
