"""Services that are reached from outside, and sites for them."""

from typing import Any, Final

import msgspec
import pytest

from groundplane.allocate import Allocations, Lock, allocate
from groundplane.documents.catalog import Object
from groundplane.documents.service import Service, ServicePort
from groundplane.documents.site import Cluster, LoadBalancerPool
from groundplane.errors import CatalogError
from tests.catalogs import catalog, cluster, node, service

NODE: Final = node("n1", "192.0.2.1", "2001:db8::1")
POOL4, POOL6 = "203.0.113.0/29", "2001:db8:1::/125"
PUBLIC: Final = (POOL4, POOL6)
_EMPTY: Final = Lock()


def site(*cidrs: str, node_ports: str = "30000-32767", **pools: tuple[str, ...]) -> Cluster:
    """Return a Cluster with *pools* of load balancers, of the families of the ranges *cidrs*."""
    found = cluster(*(cidrs or ("10.96.0.0/24",)))
    spec = msgspec.structs.replace(
        found.spec,
        node_port_range=node_ports,
        external_ip_cidrs=("198.51.100.0/24", "2001:db8:51::/64"),
        load_balancer_pools=tuple(
            LoadBalancerPool(name=name, cidrs=given) for name, given in pools.items()
        ),
    )
    return msgspec.structs.replace(found, spec=spec)


def noted(document: Service, **annotations: str) -> Service:
    """Return *document* with annotations of groundplane's, `_` for `-`."""
    listed = {f"groundplane/{name.replace('_', '-')}": text for name, text in annotations.items()}
    meta = msgspec.structs.replace(document.metadata, annotations=listed)
    return msgspec.structs.replace(document, metadata=meta)


def ports(*written: str) -> tuple[ServicePort, ...]:
    """Return ports, each written like `80`, `53/UDP` or `80:30080/TCP`."""
    found: list[ServicePort] = []
    for text in written:
        numbers, _, protocol = text.partition("/")
        port, _, node_port = numbers.partition(":")
        fields: dict[str, Any] = {"protocol": protocol or "TCP"}
        if node_port:
            fields["node_port"] = int(node_port)
        found.append(ServicePort(port=int(port), name=f"p{len(found)}", **fields))
    return tuple(found)


def on_nodes(name: str, *written: str, **spec: Any) -> Service:
    """Return a Service of type NodePort with the ports *written*, or port 80."""
    return service(name, **{"type": "NodePort", "ports": ports(*(written or ("80",))), **spec})


def load_balancer(name: str, **spec: Any) -> Service:
    """Return a Service of type LoadBalancer."""
    return service(name, **{"type": "LoadBalancer", **spec})


def allocated(*objects: Object, lock: Lock = _EMPTY, cluster: Cluster | None = None) -> Allocations:
    """Return what is given on a site of one node, with a pool `public` if none is named."""
    return allocate(catalog(cluster or site(public=PUBLIC), NODE, *objects), lock)


def faults(*objects: Object, lock: Lock = _EMPTY, cluster: Cluster | None = None) -> list[str]:
    """Return subject, path and message of each fault."""
    with pytest.raises(CatalogError) as caught:
        allocated(*objects, lock=lock, cluster=cluster)
    return [f"{fault.subject}: {fault.path}: {fault.message}" for fault in caught.value.faults]
