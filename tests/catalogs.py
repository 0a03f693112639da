"""Catalogs for tests: written as YAML and read as users' are, or built from objects."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from groundplane.allocate import Allocations
from groundplane.check import warnings
from groundplane.compile.pipeline import allocate_source, read_catalog
from groundplane.documents.catalog import Catalog, Object, key_of
from groundplane.documents.machine import Hypervisor, Image
from groundplane.documents.meta import ObjectMeta
from groundplane.documents.service import (
    EndpointSlice,
    Namespace,
    Service,
    ServicePort,
    ServiceSpec,
)
from groundplane.documents.site import (
    Cluster,
    ClusterSpec,
    Node,
    NodeSpec,
    Workload,
    WorkloadCIDR,
    WorkloadSpec,
)
from groundplane.errors import CatalogError, Origin
from groundplane.load import place

SITE = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: lab}
spec:
  serviceCIDRs: [10.96.0.0/24]
  workloadCIDRs: [{cidr: 10.244.0.0/16, nodePrefix: 24}]
  endpoints: {nodes: true, outsideCIDRs: [0.0.0.0/0, "::/0"]}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1}
spec: {addresses: [192.0.2.1]}
"""
DUAL = (
    SITE.replace("[10.96.0.0/24]", "[10.96.0.0/24, 'fd00:10:96::/112']")
    .replace("nodePrefix: 24}]", "nodePrefix: 24}, {cidr: 'fd00:10:244::/56', nodePrefix: 64}]")
    .replace("[192.0.2.1]", "[192.0.2.1, '2001:db8::1']")
)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBiHnPWMJ0QfVCr3TGLkyCjxYTgOJdk5zjyGb3nSsZ2i"
_NO_DNS = "spec:\n  dns: {clusterIPs: []}\n"
WITHOUT_DNS, DUAL_WITHOUT_DNS = (each.replace("spec:\n", _NO_DNS, 1) for each in (SITE, DUAL))


def write(source: Path, files: Mapping[str, str]) -> None:
    """Write *files*, by name, into *source*."""
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")


def read(source: Path, text: str = "", site: str = SITE) -> Catalog:
    """Return the checked catalog of *site* and, in test.yaml, *text*."""
    write(source, {"site.yaml": site, "test.yaml": text})
    return read_catalog(source)


def given(source: Path, text: str, site: str = SITE) -> Allocations:
    """Return the addresses of the catalog of *site* and, in test.yaml, *text*."""
    return allocate_source(source, read(source, text, site))[0]


def faults(source: Path, text: str = "", site: str = SITE, lock: str = "") -> list[str]:
    """Return, line by line, what a person is told about *site* and, in test.yaml, *text*."""
    if lock:
        write(source, {"addresses.lock": lock})
    try:
        given(source, text, site)
    except CatalogError as error:
        return str(error).splitlines()
    return []


def warned(source: Path, text: str, site: str = SITE) -> list[str]:
    """Return the warnings for *site* and, in test.yaml, *text*."""
    return [str(fault) for fault in place(warnings(read(source, text, site)))[0]]


def catalog(*objects: Object) -> Catalog:
    """Return the catalog of *objects*, which a Cluster is among, each from a line of its own."""
    of: dict[type, list[Any]] = {}
    for each in objects:
        of.setdefault(type(each), []).append(each)

    def named(kind: type) -> dict[Any, Any]:
        return {(e.metadata.namespace, e.metadata.name): e for e in of.get(kind, ())}

    return Catalog(
        cluster=of[Cluster][0],
        nodes={each.name: each for each in of.get(Node, ())},
        workloads=named(Workload),
        services=named(Service),
        slices=named(EndpointSlice),
        namespaces={each.metadata.name: each for each in of.get(Namespace, ())},
        hypervisors={each.name: each for each in of.get(Hypervisor, ())},
        images={each.name: each for each in of.get(Image, ())},
        origins={key_of(each): Origin("test.yaml", n) for n, each in enumerate(objects, start=1)},
    )


def cluster(*service_cidrs: str, nodes: str = "10.244.0.0/16", prefix: int = 24) -> Cluster:
    """Return a Cluster with workload ranges for each family of *service_cidrs*."""
    spec = ClusterSpec(
        service_cidrs=service_cidrs,
        workload_cidrs=tuple(
            WorkloadCIDR(cidr="fd00:10:244::/56", node_prefix=64)
            if ":" in cidr
            else WorkloadCIDR(cidr=nodes, node_prefix=prefix)
            for cidr in service_cidrs
        ),
    )
    meta = ObjectMeta(name="lab")
    return Cluster(api_version="groundplane/v1", kind="Cluster", metadata=meta, spec=spec)


def node(name: str, *addresses: str) -> Node:
    """Return a Node."""
    meta, spec = ObjectMeta(name=name), NodeSpec(addresses=addresses)
    return Node(api_version="groundplane/v1", kind="Node", metadata=meta, spec=spec)


def service(name: str, **spec: Any) -> Service:
    """Return a Service with port 80, in the namespace `default`."""
    given_spec = ServiceSpec(**{"ports": (ServicePort(port=80),), **spec})
    return Service(
        api_version="v1", kind="Service", metadata=ObjectMeta(name=name), spec=given_spec
    )


def workload(name: str, on: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Workload:
    """Return a Workload on the node *on*, in the namespace `default`."""
    return Workload(
        api_version="groundplane/v1",
        kind="Workload",
        metadata=ObjectMeta(name=name, labels=dict(labels or {})),
        spec=WorkloadSpec(node=on, **spec),
    )
