"""This project's own kinds: Cluster, Node and Workload (apiVersion groundplane/v1)."""

from typing import Literal

import msgspec

from groundplane.documents.machine import Management, Overlay, Uplink, Vm, WireGuard
from groundplane.documents.meta import Document, ObjectMeta
from groundplane.documents.tenant import Tenant
from groundplane.net.protocols import Protocol
from groundplane.net.proxy import DEFAULT_MODE

API_VERSION = "groundplane/v1"


class WorkloadCIDR(Document, frozen=True):
    """A range from which every node gets one subnet with the prefix length *nodePrefix*."""

    cidr: str
    node_prefix: int


class StubZone(Document, frozen=True):
    """A domain whose names are resolved by its own *servers*."""

    name: str
    servers: tuple[str, ...]


class Dns(Document, frozen=True):
    """*forwarders* are the site's own resolvers; nodes forward queries for all other names to them.

    With *tlsServerName*, the nodes use TLS (RFC 7858) and expect a certificate for that name.
    """

    forwarders: tuple[str, ...] = ()
    tls_server_name: str | None = msgspec.field(default=None, name="tlsServerName")
    stub_zones: tuple[StubZone, ...] = ()
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    dnssec: bool = False


class LoadBalancerPool(Document, frozen=True):
    """Ranges for addresses of load balancers that request no pool or the pool *name*."""

    name: str
    cidrs: tuple[str, ...]


class ChangeLimits(Document, frozen=True):
    """The share of a site, in percent, that one change may remove or readdress."""

    removed_services: int = 50
    renumbered_services: int = 0
    removed_endpoints: int = 50
    emptied_services: int = 50


class ProbePolicy(Document, frozen=True):
    """What readiness probes may do: *foreignHosts* lets them contact hosts besides the workload."""

    foreign_hosts: bool = False


class EndpointPolicy(Document, frozen=True):
    """What EndpointSlices and Endpoints may lead to besides workloads.

    *nodes* lets them lead to nodes, and *outsideCIDRs* are the ranges of hosts outside the site.
    """

    nodes: bool = False
    outside_cidrs: tuple[str, ...] = msgspec.field(default=(), name="outsideCIDRs")


class Ipvs(Document, frozen=True):
    """Load balancing on nodes whose proxyMode is ipvs.

    *scheduler* is an IPVS scheduler with its flags (`net.schedulers`). A removed endpoint keeps its
    connections for at most *drainSeconds*.
    """

    scheduler: str = "rr"
    drain_seconds: int = 600


class ClusterSpec(Document, frozen=True):
    service_cidrs: tuple[str, ...] = msgspec.field(name="serviceCIDRs")
    workload_cidrs: tuple[WorkloadCIDR, ...] = msgspec.field(name="workloadCIDRs")
    cluster_domain: str = "cluster.local"
    dns: Dns = Dns()
    egress_masquerade: bool = True
    change_limits: ChangeLimits = ChangeLimits()
    non_masquerade_cidrs: tuple[str, ...] = msgspec.field(default=(), name="nonMasqueradeCIDRs")
    node_port_range: str = "30000-32767"
    external_ip_cidrs: tuple[str, ...] = msgspec.field(default=(), name="externalIPCIDRs")
    load_balancer_pools: tuple[LoadBalancerPool, ...] = ()
    cluster_ips_from_outside: Literal["allow", "drop"] = msgspec.field(
        default="allow", name="clusterIPsFromOutside"
    )
    probes: ProbePolicy = ProbePolicy()
    endpoints: EndpointPolicy = EndpointPolicy()
    tenants: tuple[Tenant, ...] = ()
    overlay: Overlay = Overlay()
    proxy_mode: str = DEFAULT_MODE
    ipvs: Ipvs = Ipvs()


class Cluster(Document, frozen=True):
    api_version: Literal["groundplane/v1"]
    kind: Literal["Cluster"]
    metadata: ObjectMeta
    spec: ClusterSpec


class NodeSpec(Document, frozen=True):
    """Nodes with the same *segment* reach each other on one layer-2 network.

    The endpoints of a node with state drain are treated like workloads with that state. *proxyMode*
    defaults to the Cluster's.
    """

    addresses: tuple[str, ...]
    workload_subnets: tuple[str, ...] = ()
    management: Management = Management()
    segment: str = ""
    state: Literal["active", "drain"] = "active"
    uplink: Uplink | None = None
    vm: Vm | None = None
    wireguard: WireGuard | None = None
    proxy_mode: str | None = None


class Node(Document, frozen=True):
    api_version: Literal["groundplane/v1"]
    kind: Literal["Node"]
    metadata: ObjectMeta
    spec: NodeSpec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def zone(self) -> str:
        """The node's zone, from its label, or ""."""
        return self.metadata.labels.get("topology.kubernetes.io/zone", "")


class WorkloadPort(Document, frozen=True):
    """A named port that services can have as their target."""

    port: int
    name: str = ""
    protocol: Protocol = "TCP"


class HttpHeader(Document, frozen=True):
    name: str
    value: str


class HttpGet(Document, frozen=True):
    port: int | str
    path: str = "/"
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    host: str | None = None
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocket(Document, frozen=True):
    port: int | str
    host: str | None = None


class Exec(Document, frozen=True):
    command: tuple[str, ...]


class Grpc(Document, frozen=True):
    port: int
    service: str = ""


class Probe(Document, frozen=True):
    """A container probe's fields and defaults (core/v1 Probe)."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class WorkloadSpec(Document, frozen=True):
    node: str
    host_network: bool = False
    addresses: tuple[str, ...] = ()
    hostname: str | None = None
    ports: tuple[WorkloadPort, ...] = ()
    readiness_probe: Probe | None = None
    weight: int = 1
    state: Literal["active", "drain", "off"] = "active"


class Workload(Document, frozen=True):
    """The counterpart of a Pod: a process, container or VM that serves ports."""

    api_version: Literal["groundplane/v1"]
    kind: Literal["Workload"]
    metadata: ObjectMeta
    spec: WorkloadSpec
