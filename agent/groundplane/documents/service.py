"""Kubernetes' Service (core/v1), field for field, and EndpointSlice (discovery.k8s.io/v1).

Field meanings and defaults: Kubernetes API reference, core/v1 ServiceSpec;
pkg/apis/core/v1/defaults.go.
"""

from typing import Any, ClassVar, Final, Literal

import msgspec

from groundplane.documents.meta import Document, ObjectMeta
from groundplane.net.protocols import Family, Protocol
from groundplane.net.proxy import FORWARDINGS, Forwarding

# Annotations of a Service, and their values.
LOAD_BALANCING: Final = "groundplane/load-balancing"
RANDOM: Final = "random"
CONSISTENT_HASH: Final = "consistent-hash"
POOL: Final = "groundplane/load-balancer-pool"  # the name of one of Cluster's loadBalancerPools
ADDRESSES: Final = "groundplane/load-balancer-ips"  # one address of each family, comma-separated
KEEP_LAST: Final = "groundplane/keep-last-endpoints"  # "true" or "false"
SCHEDULER: Final = "groundplane/ipvs-scheduler"  # a scheduler and its flags (net.schedulers)
FORWARDING: Final = "groundplane/ipvs-forwarding"  # one of net.proxy.FORWARDINGS
LOAD_BALANCER_CLASS: Final = "groundplane/load-balancer"  # spec.loadBalancerClass, or none

# An annotation of a Namespace, and its value if its name may be a top-level domain.
TOP_LEVEL_DOMAIN: Final = "groundplane/top-level-domain"
ACCEPTED: Final = "accepted"

# Labels of an EndpointSlice.
SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
KUBERNETES: Final = "endpointslice-controller.k8s.io"  # writes those of pods


class ServicePort(Document, frozen=True):
    """One port of a service: the port for clients, and the endpoints' port (number or name)."""

    empty_is_unset: ClassVar = ("protocol",)

    port: int
    name: str = ""
    protocol: Protocol = "TCP"
    target_port: int | str | None = None
    node_port: int | None = None
    app_protocol: str | None = None

    @property
    def target(self) -> int | str:
        """The target port; *port* itself if it is unset or 0."""
        return self.target_port or self.port


class ClientIPConfig(Document, frozen=True):
    timeout_seconds: int = 10800


class SessionAffinityConfig(Document, frozen=True):
    client_ip: ClientIPConfig | None = msgspec.field(default=None, name="clientIP")


class ServiceSpec(Document, frozen=True):
    empty_is_unset: ClassVar = ("type", "sessionAffinity")

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: tuple[str, ...] = msgspec.field(default=(), name="clusterIPs")
    ip_families: tuple[Family, ...] = ()
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    external_ips: tuple[str, ...] = msgspec.field(default=(), name="externalIPs")
    external_name: str | None = None
    external_traffic_policy: Literal["", "Cluster", "Local"] | None = None
    internal_traffic_policy: Literal["", "Cluster", "Local"] | None = None
    health_check_node_port: int | None = None
    load_balancer_ip: str | None = msgspec.field(default=None, name="loadBalancerIP")
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: bool | None = None
    publish_not_ready_addresses: bool = False
    session_affinity: Literal["None", "ClientIP"] = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    traffic_distribution: Literal["PreferClose", "PreferSameZone", "PreferSameNode"] | None = None


class Service(Document, frozen=True):
    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
    status: Any = None

    @property
    def headless(self) -> bool:
        """Whether the service has no cluster IP because its document says so."""
        return self.spec.cluster_ip == "None" or "None" in self.spec.cluster_ips

    @property
    def external(self) -> bool:
        """Whether the service is an alias for an outside host, without an address of its own."""
        return self.spec.type == "ExternalName"

    @property
    def has_node_ports(self) -> bool:
        """Whether the service's ports are open on every node."""
        wanted = self.spec.allocate_load_balancer_node_ports
        return self.spec.type == "NodePort" or (
            self.spec.type == "LoadBalancer" and wanted is not False
        )

    @property
    def affinity_seconds(self) -> int:
        """Seconds a client keeps its endpoint after its last new connection; 0: no affinity."""
        if self.spec.session_affinity == "None":
            return 0
        config = self.spec.session_affinity_config
        return ((config and config.client_ip) or ClientIPConfig()).timeout_seconds

    @property
    def consistent_hash(self) -> bool:
        """Whether the client's address alone determines its endpoint, the same on every node."""
        return self.metadata.annotations.get(LOAD_BALANCING) == CONSISTENT_HASH

    @property
    def forwarding(self) -> Forwarding:
        """How IPVS forwards packets to endpoints; `check` reports invalid values."""
        written = self.metadata.annotations.get(FORWARDING)
        return next((each for each in FORWARDINGS if each == written), "masquerading")

    @property
    def keep_last_endpoints(self) -> bool:
        """Whether all endpoints stay in use if the probes of all of them fail."""
        return self.metadata.annotations.get(KEEP_LAST) == "true"

    @property
    def ours_to_balance(self) -> bool:
        """Whether groundplane, not another program, allocates this load balancer's address."""
        ours = self.spec.load_balancer_class in (None, LOAD_BALANCER_CLASS)
        return self.spec.type == "LoadBalancer" and ours

    @property
    def explicit_cluster_ips(self) -> tuple[str, ...]:
        """The cluster IPs that the document itself fixes, primary first."""
        if self.headless:
            return ()
        if self.spec.cluster_ips:
            return self.spec.cluster_ips
        return (self.spec.cluster_ip,) if self.spec.cluster_ip else ()


class Namespace(Document, frozen=True):
    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: ObjectMeta
    spec: Any = None
    status: Any = None


class EndpointConditions(Document, frozen=True):
    """Unset (nil) means ready, serving and not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Document, frozen=True):
    name: str


class ForNode(Document, frozen=True):
    name: str


class EndpointHints(Document, frozen=True):
    """The zones or nodes whose clients should use an endpoint."""

    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


class SliceEndpoint(Document, frozen=True):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: Any = None
    hints: EndpointHints | None = None
    deprecated_topology: Any = None


class SlicePort(Document, frozen=True):
    name: str | None = None
    port: int | None = None
    protocol: Protocol = "TCP"
    app_protocol: str | None = None


class EndpointSlice(Document, frozen=True):
    api_version: Literal["discovery.k8s.io/v1"]
    kind: Literal["EndpointSlice"]
    metadata: ObjectMeta
    address_type: Literal["IPv4", "IPv6"]
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()
