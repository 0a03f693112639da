"""Readiness probes: the rules of pkg/apis/core/validation (validateProbe), and allowed hosts."""

from collections.abc import Iterator
from typing import Final

from groundplane.check.ranges import host_fault
from groundplane.documents.catalog import Catalog, DocumentKey, key_of
from groundplane.documents.site import Probe, Workload
from groundplane.errors import Fault
from groundplane.net import names
from groundplane.net.address import canonical
from groundplane.net.http_headers import header_name_fault, header_value_fault

MANY_NODES: Final = 50  # beyond this, probes from all nodes to all workloads cost too much
_MOST: Final = (1 << 31) - 1  # of Kubernetes' int32
_HANDLERS: Final = "httpGet, tcpSocket, exec and grpc"


def check_probe(
    catalog: Catalog, key: DocumentKey, workload: Workload, probe: Probe
) -> Iterator[Fault]:
    """Yield the errors in *probe*, the readinessProbe of *workload*."""
    for path, message in (*_probe(workload, probe), *_hosts(catalog, workload, probe)):
        yield catalog.fault(key, f"spec.readinessProbe{path}", message)


def _probe(workload: Workload, probe: Probe) -> Iterator[tuple[str, str]]:
    handlers = [probe.http_get, probe.tcp_socket, probe.exec, probe.grpc]
    if sum(handler is not None for handler in handlers) != 1:
        yield "", f"one of {_HANDLERS} is needed"
    for name, value, least in (
        ("initialDelaySeconds", probe.initial_delay_seconds, 0),
        ("periodSeconds", probe.period_seconds, 1),
        ("timeoutSeconds", probe.timeout_seconds, 1),
        ("successThreshold", probe.success_threshold, 1),
        ("failureThreshold", probe.failure_threshold, 1),
    ):
        if value < least:
            yield f".{name}", f"{value} is too small: at least {least}"
        elif value > _MOST:
            yield f".{name}", f"{value} is too large: at most {_MOST}"
    for name, handler in (
        ("httpGet", probe.http_get),
        ("tcpSocket", probe.tcp_socket),
        ("grpc", probe.grpc),
    ):
        if handler is not None and (fault := _port(workload, handler.port)):
            yield f".{name}.port", fault
    if probe.exec and not probe.exec.command:
        yield ".exec.command", "a command is needed"
    yield from _headers(probe)


def _headers(probe: Probe) -> Iterator[tuple[str, str]]:
    for index, header in enumerate(probe.http_get.http_headers if probe.http_get else ()):
        path = f".httpGet.httpHeaders[{index}]"
        if fault := header_name_fault(header.name):
            yield f"{path}.name", fault
        if fault := header_value_fault(header.value):
            yield f"{path}.value", fault


def _port(workload: Workload, port: int | str) -> str | None:
    if isinstance(port, int):
        return names.port_number(port)
    if fault := names.port_name(port):
        return fault
    known = [each.name for each in workload.spec.ports if each.name and each.protocol == "TCP"]
    if port in known:
        return None
    return f'it has no TCP port named "{port}"; it has: {", ".join(known) or "none"}'


def _hosts(catalog: Catalog, workload: Workload, probe: Probe) -> Iterator[tuple[str, str]]:
    """Yield the errors in the hosts that *probe* contacts.

    Every node runs the probe in the document: with a foreign address, all nodes would contact
    that host.
    """
    for name, handler in (("httpGet", probe.http_get), ("tcpSocket", probe.tcp_socket)):
        if handler is None or not handler.host:
            continue
        path, host = f".{name}.host", handler.host
        if fault := host_fault(host):
            named = "; a name for the server to see is an httpHeader, Host"
            yield path, fault + (named if name == "httpGet" and "is not an IP" in fault else "")
        elif not (
            catalog.cluster.spec.probes.foreign_hosts or canonical(host) in _own(catalog, workload)
        ):
            message = (
                f"{host} is not an address of this workload: leave it out, or let "
                "probes ask others by spec.probes.foreignHosts of the Cluster"
            )
            yield path, message


def _own(catalog: Catalog, workload: Workload) -> set[str]:
    node = catalog.nodes.get(workload.spec.node)
    by_node = node.spec.addresses if workload.spec.host_network and node else ()
    written = (*workload.spec.addresses, *by_node)
    return {canonical(each) for each in written if host_fault(each) is None}


def probe_warnings(catalog: Catalog) -> Iterator[Fault]:
    """Yield warnings for probes of *catalog* that probably do something unintended."""
    probed = [each for each in catalog.workloads.values() if each.spec.readiness_probe]
    for workload in probed:
        if workload.spec.readiness_probe and workload.spec.readiness_probe.exec:
            message = "only its own node runs it; the others take the workload for ready"
            yield catalog.fault(key_of(workload), "spec.readinessProbe.exec", message)
    if probed and len(catalog.nodes) > MANY_NODES:
        yield catalog.fault(
            key_of(catalog.cluster),
            "",
            f"each of {len(catalog.nodes)} nodes probes {len(probed)} workloads; above "
            f"{MANY_NODES} nodes let one prober write /etc/groundplane/health.yaml for them "
            "instead, and leave readinessProbe out",
        )
