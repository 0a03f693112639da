"""Sites to measure with, as compiled snapshots: plain ones, and ones with every feature mixed in."""

import msgspec

from groundplane.compile.port_ids import number_pools
from groundplane.net.address import canonical
from groundplane.net.protocols import Family, Protocol
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Node, Port, Service, Site, Workload, columns
from groundplane.site.map_sizes import sizes

NODES, NAMESPACES = 100, 100
SERVICE_CIDRS = ("10.96.0.0/13", "fd00:96::/108")
WORKLOAD_CIDRS = ("10.128.0.0/9", "fd00:128::/64")
EXTERNAL_CIDRS = ("100.64.0.0/12",)
_WITH_NODE_PORT = (6, 7, 9)  # of every 20 services


def endpoint_ips(number: int) -> tuple[str, str]:
    """Return the IPv4 and the IPv6 address of an endpoint of the whole site."""
    return (
        f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
        canonical(f"fd00:128::{number >> 16:x}:{number & 0xFFFF:x}"),
    )


def service(number: int, endpoints: int, *, mixed: bool) -> Service:
    """Return service *number*, its pools not numbered yet.

    In a mixed site, of every 20 services 4 have two ports, 2 are of UDP, 2 have a node port, 1 is
    balanced with three source ranges, 2 keep their clients, 1 is Local, 2 have both families.
    """
    kind = number % 20 if mixed else -1
    protocol: Protocol = "UDP" if kind in (4, 5) else "TCP"
    ports = [Port("http", protocol, 80, 0, 0)]
    if kind in (0, 1, 2, 3):
        ports.append(Port("admin", "TCP", 81))
    if kind in _WITH_NODE_PORT:
        node_port = 20000 + number // 20 * len(_WITH_NODE_PORT) + _WITH_NODE_PORT.index(kind)
        ports[0] = Port("http", protocol, 80, 0, node_port)
    families: tuple[Family, ...] = ("IPv4", "IPv6") if kind in (12, 13) else ("IPv4",)
    rows = []
    for index in range(endpoints):
        ipv4, ipv6 = endpoint_ips(number * endpoints + index + 256)
        rows.append(
            Endpoint(
                f"app-{number}-{index}",
                f"n{(number + index) % NODES}",
                "",
                ipv4,
                ipv6 if len(families) == 2 else "",
                tuple(8080 for _ in ports),
            )
        )
    ips = (f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
           canonical(f"fd00:96::{number >> 16:x}:{number & 0xFFFF:x}"))  # fmt: skip
    return Service(
        f"ns-{number % NAMESPACES}",
        f"service-{number}",
        families,
        ips[: len(families)],
        tuple(ports),
        columns(rows),
        load_balancer_ips=(f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",)
        if kind == 8
        else (),
        source_ranges=("10.0.0.0/8", "172.16.0.0/13", f"192.0.{number % 200}.0/24")
        if kind == 8
        else (),
        affinity_seconds=10800 if kind in (10, 11) else 0,
        external_local=kind == 9,
    )


def site(services: int, endpoints: int, *, mixed: bool) -> Site:
    """Return a site of that many *services* with that many *endpoints* each."""
    made = [service(number, endpoints, mixed=mixed) for number in range(services)]
    return site_of(made)


def site_of(services: list[Service]) -> Site:
    """Return the site that has just *services*, each endpoint a workload of its own."""
    pools = number_pools((*s.key, port.protocol, port.port) for s in services for port in s.ports)
    numbered = [with_pools(each, pools) for each in services]
    workloads = (
        Workload(each.namespace, row.workload, row.node, (row.ipv4,))
        for each in services
        for row in each.endpoints.rows()
    )
    return Site(
        format=compiled.FORMAT,
        domain="cluster.local",
        service_cidrs=SERVICE_CIDRS,
        workload_cidrs=WORKLOAD_CIDRS,
        non_masquerade_cidrs=(),
        egress_masquerade=True,
        forwarders=(),
        nodes=tuple(
            Node(
                f"n{n}",
                (f"192.168.0.{n + 1}", f"fd77::{n + 1:x}"),
                (f"10.250.{n}.0/24", f"fd00:128:0:{n + 1:x}::/64"),
            )
            for n in range(NODES)
        ),
        workloads=tuple(workloads),
        services=tuple(sorted(numbered, key=lambda each: each.key)),
        external_cidrs=EXTERNAL_CIDRS,
        affinity_timeouts=(10800,),
        sizes=sizes(numbered),
    )


def with_pools(service: Service, pools: dict[tuple[str, str, str, int], int]) -> Service:
    ports = tuple(
        Port(p.name, p.protocol, p.port, pools[*service.key, p.protocol, p.port], p.node_port)
        for p in service.ports
    )
    return msgspec.structs.replace(service, ports=ports)
