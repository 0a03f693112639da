"""`compile_probes`: readiness probes ready to run, with addresses and port numbers filled in."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from groundplane.documents.catalog import Catalog
from groundplane.documents.site import HttpGet, Probe, Workload
from groundplane.net.address import canonical
from groundplane.site import compiled

_AS_WRITTEN: Final = "/?%:@!$&'()*+,;=[]"  # in a path and a query (RFC 3986); all else is quoted


def compile_probes(
    catalog: Catalog, workload_addresses: Mapping[tuple[str, str], tuple[str, ...]]
) -> tuple[compiled.Probe, ...]:
    """Return the probe of each workload that has one and is not off, even if no service selects it.

    *workload_addresses* are the addresses of the workloads, primary family first.
    """
    return tuple(
        _compiled(workload, workload.spec.readiness_probe, workload_addresses[name])
        for name, workload in sorted(catalog.workloads.items())
        if workload.spec.readiness_probe and workload.spec.state != "off"
    )


def _compiled(workload: Workload, probe: Probe, addresses: tuple[str, ...]) -> compiled.Probe:
    kind, meta = _kind(probe), workload.metadata
    http, tcp, grpc = probe.http_get, probe.tcp_socket, probe.grpc
    handler = http or tcp or grpc
    host = http.host if http else tcp.host if tcp else None
    address = canonical(host) if host else addresses[0]
    port = _port(workload, handler.port) if handler else 0
    own_network = probe.exec and not workload.spec.host_network
    return compiled.Probe(
        meta.namespace,
        meta.name,
        workload.spec.node,
        kind,
        initial_delay=probe.initial_delay_seconds,
        period=probe.period_seconds,
        timeout=probe.timeout_seconds,
        success_threshold=probe.success_threshold,
        failure_threshold=probe.failure_threshold,
        address="" if probe.exec else address,
        port=port,
        path=_path(http) if http else "",
        host=_host(http, address, port) if http else "",
        headers=_headers(http) if http else (),
        service=grpc.service if grpc else "",
        command=probe.exec.command if probe.exec else (),
        instance=f"{meta.namespace}-{meta.name}" if own_network else "",
    )


def _kind(probe: Probe) -> compiled.ProbeKind:
    if probe.http_get:
        return "https" if probe.http_get.scheme == "HTTPS" else "http"
    if probe.tcp_socket:
        return "tcp"
    return "grpc" if probe.grpc else "exec"


def _port(workload: Workload, port: int | str) -> int:
    if isinstance(port, int):
        return port
    return next(p.port for p in workload.spec.ports if (p.name, p.protocol) == (port, "TCP"))


def _path(http: HttpGet) -> str:
    path = quote(http.path.partition("#")[0], safe=_AS_WRITTEN)
    return path if path.startswith("/") else f"/{path}"


def _host(http: HttpGet, address: str, port: int) -> str:
    """Return the Host header: the document's, else the address connected to, as in kubelet."""
    said = [header.value for header in http.http_headers if header.name.lower() == "host"]
    return said[-1] if said else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _headers(http: HttpGet) -> tuple[tuple[str, str], ...]:
    return tuple(
        (header.name, header.value) for header in http.http_headers if header.name.lower() != "host"
    )
