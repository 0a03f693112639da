"""The compiled site: what the documents come to, with addresses given and selectors matched.

This is what a node's agent works from, kept as JSON: decoding 100,000 endpoints takes a tenth of
a second, where parsing their YAML takes many. Rows are arrays, since there are so many of them.
"""

from typing import Final

import msgspec

from groundplane.model.service import Family, Protocol

FORMAT: Final = 1


class Node(msgspec.Struct, frozen=True):
    """A node: its addresses and workload subnets, one of each family, primary family first."""

    name: str
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]


class Workload(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A workload with addresses of its own, which its node connects."""

    namespace: str
    name: str
    node: str
    addresses: tuple[str, ...]


class Endpoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One place that may answer for a service, before any probe is asked.

    *ready* and *serving* are what the documents say; *workload* is "" for one that an
    EndpointSlice names. *targets* has the port for each port of the service, 0 for none.
    """

    workload: str
    node: str
    hostname: str
    ipv4: str
    ipv6: str
    targets: tuple[int, ...]
    ready: bool = True
    serving: bool = True
    terminating: bool = False

    def address(self, family: Family) -> str:
        return self.ipv4 if family == "IPv4" else self.ipv6


class Port(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One port of a service; *pool* is its number in the kernel's maps, the same on every node."""

    name: str
    protocol: Protocol
    port: int
    pool: int = 0


class Service(msgspec.Struct, frozen=True, gc=False):
    """A service with its addresses and everything that may answer for it."""

    namespace: str
    name: str
    families: tuple[Family, ...]
    cluster_ips: tuple[str, ...]  # none: headless
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    publish_not_ready: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


class Site(msgspec.Struct, frozen=True):
    """The whole site. The same documents and lock give the same value on every node."""

    format: int
    domain: str
    service_cidrs: tuple[str, ...]
    workload_cidrs: tuple[str, ...]
    non_masquerade_cidrs: tuple[str, ...]
    egress_masquerade: bool
    forwarders: tuple[str, ...]
    nodes: tuple[Node, ...]
    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    slots: int = 0  # how many elements all endpoints need in the kernel's maps, at most
