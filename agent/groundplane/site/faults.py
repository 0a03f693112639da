"""Validation of a compiled site: it accepts only values that `check` can let through. Pure.

A snapshot comes over a network, from a child that parsed untrusted YAML, or from a disk. Its
digests prove that it is complete, and its types distinguish text from numbers. Its texts become
rules, zones, file names and command arguments, so each must be the canonical name, address or range
that its field requires.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from groundplane.errors import FieldFaults
from groundplane.net import address, names
from groundplane.net.http_headers import header_name_fault, header_value_fault
from groundplane.net.proxy import mode_fault
from groundplane.net.schedulers import scheduler_fault
from groundplane.site.compiled import Endpoints, Node, Port, Probe, Service, Site, Workload

_host_name: Final = lru_cache(maxsize=4096)(names.host_name)  # services name the same nodes

_CONDITIONS: Final = frozenset("abcdefgh")
_MAX_POOL: Final = (1 << 20) - 1  # of a handle
_MAX_ELEMENTS: Final = 1 << 27
_MAX_MTU: Final = 65_535
_MAX_WEIGHT: Final = 256
_MAX_SECONDS: Final = (1 << 31) - 1
_MAX_COMMAND: Final = 64 << 10  # characters of one argument


def site_faults(site: Site) -> FieldFaults:
    """Yield the errors of a site, except those of its workloads, probes and services."""
    yield from _text("domain", site.domain, names.subdomain)
    for field in ("service_cidrs", "workload_cidrs"):
        ranges: tuple[str, ...] = getattr(site, field)
        yield from _ranges(field, ranges)
        yield from _one_of_each_family(field, ranges)
    yield from _ranges("non_masquerade_cidrs", site.non_masquerade_cidrs)
    yield from _ranges("external_cidrs", site.external_cidrs)
    yield from _addresses("forwarders", site.forwarders)
    for node in site.nodes:
        yield from _node(node)
    yield from _number("node_ports", site.node_ports[0], 1, site.node_ports[1])
    yield from _number("node_ports", site.node_ports[1], 1, 65_535)
    yield from _numbers("affinity_timeouts", site.affinity_timeouts, 1, 86_400)
    for struct, most in ((site.sizes, _MAX_ELEMENTS), (site.change_limits, 100)):
        for field in struct.__struct_fields__:
            yield from _number(field, getattr(struct, field), 0, most)
    for zone in site.stub_zones:
        yield from _text("stub_zones", zone.name, names.subdomain)
        yield from _addresses("stub_zones", zone.servers)
    if site.tls_server_name:
        yield from _text("tls_server_name", site.tls_server_name, names.subdomain)
    if site.overlay:
        yield from _number("overlay", site.overlay.vni, 0, (1 << 24) - 1)
        yield from _number("overlay", site.overlay.port, 1, 65_535)
    yield from _text("ipvs", site.ipvs.scheduler, scheduler_fault)
    yield from _number("ipvs", site.ipvs.drain_seconds, 0, _MAX_SECONDS)


def _node(node: Node) -> FieldFaults:
    yield from _text("nodes", node.name, names.host_name)
    yield from _addresses("nodes", node.addresses)
    yield from _one_of_each_family("nodes", node.addresses)
    yield from _ranges("nodes", node.subnets)
    yield from _one_of_each_family("nodes", node.subnets)
    yield from _text("nodes", node.zone, names.label_value)
    if node.segment:
        yield from _text("nodes", node.segment, names.dns_label)
    yield from _text("nodes", node.proxy_mode, mode_fault)
    yield from _number("nodes", node.mtu, 68, _MAX_MTU)
    if node.public_key:
        yield from _text("nodes", node.public_key, names.wireguard_key)


def workloads_faults(workloads: Sequence[Workload]) -> FieldFaults:
    """Yield the errors of workloads with their own addresses."""
    for field in ("namespace", "name"):
        words = [getattr(each, field) for each in workloads]
        if "" in words or not names.are_dns_labels(words):
            for word in words:
                yield from _text(field, word, names.dns_label)
    for node in {each.node for each in workloads}:
        yield from _text("node", node, names.host_name)
    firsts = [each.addresses[0] for each in workloads if len(each.addresses) == 1]
    if not address.are_canonical_ipv4(firsts):
        yield from _addresses("addresses", firsts)
    for each in workloads:
        if len(each.addresses) > 1:
            yield from _addresses("addresses", each.addresses)
            yield from _one_of_each_family("addresses", each.addresses)


def places_faults(objects: Mapping[str, Sequence[str]]) -> FieldFaults:
    """Yield the errors of the places of objects (`FilePlaces`)."""
    for kind, entries in objects.items():
        if not _KIND.fullmatch(kind):
            yield "objects", f'"{kind}" is not a kind and a namespace'
        for text in entries:
            if not _PLACE.fullmatch(text):
                yield "objects", f'"{text}" is not a name and a line'


_KIND: Final = re.compile(r"[A-Za-z]+(?:/[a-z0-9-]+)?")
_PLACE: Final = re.compile(r"[a-z0-9.-]+ [1-9][0-9]{0,9}(?: [][a-z0-9.]+)?")


def probe_faults(probe: Probe) -> FieldFaults:
    """Yield the errors of a probe."""
    yield from _text("namespace", probe.namespace, names.dns_label)
    yield from _text("name", probe.name, names.dns_label)
    yield from _text("node", probe.node, names.host_name)
    yield from _number("initial_delay", probe.initial_delay, 0, _MAX_SECONDS)
    for field in ("period", "timeout", "success_threshold", "failure_threshold"):
        yield from _number(field, getattr(probe, field), 1, _MAX_SECONDS)
    if probe.kind != "exec" or probe.address:
        yield from _addresses("address", (probe.address,))
    yield from _number("port", probe.port, probe.kind != "exec", 65_535)
    if probe.kind in ("http", "https"):
        yield from _text("path", probe.path, _path_fault)
        for name, value in (("Host", probe.host), *probe.headers):
            yield from _text("headers", name, header_name_fault)
            yield from _text("headers", value, header_value_fault)
    if not probe.service.isprintable():
        yield "service", f"{probe.service!r} is not printable"
    if any("\0" in word or len(word) > _MAX_COMMAND for word in probe.command):
        yield "command", "an argument has a NUL, or is too long"
    if probe.instance not in ("", f"{probe.namespace}-{probe.name}"):
        yield "instance", f'"{probe.instance}" is another workload\'s'


def _path_fault(path: str) -> str | None:
    good = path.startswith("/") and path.isascii() and path.isprintable() and " " not in path
    return None if good else f"{path!r} is not a URL path"


def service_faults(service: Service) -> FieldFaults:
    """Yield the errors of a service."""
    yield from _text("namespace", service.namespace, names.dns_label)
    yield from _text("name", service.name, names.dns_label)
    if len(set(service.families)) != len(service.families):
        yield "families", "a family twice"
    if service.cluster_ips and len(service.cluster_ips) != len(service.families):
        yield "cluster_ips", "there is one for each family, or none"
    yield from _one_of_each_family("cluster_ips", service.cluster_ips)
    for field in ("cluster_ips", "external_ips", "load_balancer_ips", "shared"):
        yield from _addresses(field, getattr(service, field))
    yield from _ranges("source_ranges", service.source_ranges)
    for port in service.ports:
        yield from _port(port)
    yield from _endpoints(service.endpoints, len(service.ports))
    yield from _number("affinity_seconds", service.affinity_seconds, 0, 86_400)
    yield from _number("health_check_port", service.health_check_port, 0, 65_535)
    if service.external_name:
        yield from _text("external_name", service.external_name, names.subdomain)
    if service.scheduler:
        yield from _text("scheduler", service.scheduler, scheduler_fault)


def _port(port: Port) -> FieldFaults:
    if port.name:
        yield from _text("ports", port.name, names.dns_label)
    yield from _number("ports", port.port, 1, 65_535)
    yield from _number("ports", port.node_port, 0, 65_535)
    yield from _number("ports", port.pool, 0, _MAX_POOL)


def _endpoints(endpoints: Endpoints, ports: int) -> FieldFaults:
    """Yield the errors of columns: their lengths and their values."""
    yield from _lengths(endpoints)
    for field, digits in (("ipv4", 8), ("ipv6", 32)):
        column = getattr(endpoints, field)
        if len(column) not in (0, digits * endpoints.count) or not _is_hexadecimal(column):
            yield f"endpoints.{field}", "no addresses in hexadecimal, one for each endpoint"
    yield from _targets(endpoints, ports)
    if not _CONDITIONS.issuperset(endpoints.conditions):
        yield "endpoints.conditions", "it has other letters than a to h"
    yield from _numbers("endpoints.weights", endpoints.weights, 0, _MAX_WEIGHT)
    for field, words in (("workloads", endpoints.workloads), ("hostnames", endpoints.hostnames)):
        if not names.are_dns_labels(words):
            yield from _words(f"endpoints.{field}", words, names.dns_label)
    yield from _words("endpoints.nodes", endpoints.nodes, _host_name)
    for zones in endpoints.for_zones:
        yield from _words("endpoints.for_zones", zones, names.label_value)
    for nodes in endpoints.for_nodes:
        yield from _words("endpoints.for_nodes", nodes, names.host_name)


def _lengths(endpoints: Endpoints) -> FieldFaults:
    count = endpoints.count
    for field in (
        "workloads", "nodes", "hostnames", "conditions", "weights", "for_zones", "for_nodes",
    ):  # fmt: skip
        length = len(getattr(endpoints, field))
        if length not in (0, count):
            yield f"endpoints.{field}", f"{length} values for {count} endpoints"


def _targets(endpoints: Endpoints, ports: int) -> FieldFaults:
    if endpoints.targets and len(endpoints.targets) != ports:
        yield "endpoints.targets", f"{len(endpoints.targets)} columns for {ports} ports"
    for target in endpoints.targets:
        each = (target,) if isinstance(target, int) else target
        if not isinstance(target, int) and len(target) != endpoints.count:
            yield "endpoints.targets", f"{len(target)} values for {endpoints.count} endpoints"
        yield from _numbers("endpoints.targets", each, 0, 65_535)


def _is_hexadecimal(text: str) -> bool:
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


Judge = Callable[[str], str | None]


def _text(field: str, text: str, fault_of: Judge) -> FieldFaults:
    if fault := fault_of(text):
        yield field, fault


def _words(field: str, words: Iterable[str], fault_of: Judge) -> FieldFaults:
    """Yield the errors of the non-empty *words*."""
    for word in words:
        if word and (fault := fault_of(word)):
            yield field, fault


def _number(field: str, number: int, least: int, most: int) -> FieldFaults:
    if not least <= number <= most:
        yield field, f"{number} is not between {least} and {most}"


def _numbers(field: str, numbers: Iterable[int], least: int, most: int) -> FieldFaults:
    for number in numbers:
        if not least <= number <= most:
            yield from _number(field, number, least, most)


def _addresses(field: str, texts: Iterable[str]) -> FieldFaults:
    for text in texts:
        yield from _canonical(field, text, address.canonical)


def _ranges(field: str, texts: Iterable[str]) -> FieldFaults:
    for text in texts:
        yield from _canonical(field, text, address.canonical_range)


def _canonical(field: str, text: str, canonical: Callable[[str], str]) -> FieldFaults:
    try:
        written = canonical(text)
    except ValueError as error:
        yield field, str(error)
        return
    if written != text:
        yield field, f'"{text}" is written "{written}"'


def _one_of_each_family(field: str, texts: Sequence[str]) -> FieldFaults:
    families = [address.family_of(text) for text in texts]
    if len(set(families)) < len(families):
        yield field, "more than one of a family"
