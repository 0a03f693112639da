"""The cluster's DNS service: a cluster IP that leads to the name server of the client's node."""

from typing import Final

import msgspec

from groundplane.documents.service import Service
from groundplane.documents.site import Cluster
from groundplane.net.address import canonical, family_of, first_last, from_int
from groundplane.net.protocols import Protocol

NAME: Final = ("kube-system", "kube-dns")  # known to manifests and tools
PORT: Final = 53
PORTS: Final[tuple[tuple[str, Protocol], ...]] = (("dns", "UDP"), ("dns-tcp", "TCP"))
_TENTH: Final = 10  # as in kubeadm


def wanted_addresses(cluster: Cluster) -> tuple[str, ...]:
    """Return the service's desired addresses: those declared, or the tenth of each range."""
    if (declared := cluster.spec.dns.cluster_ips) is not None:
        return tuple(map(canonical, declared))
    return tuple(filter(None, map(_tenth, cluster.spec.service_cidrs)))


def _tenth(cidr: str) -> str:
    """Return the tenth address of *cidr*, or "" if it cannot be used."""
    first, last = first_last(cidr)
    family = family_of(cidr)
    return from_int(first + _TENTH, family) if first + _TENTH < last else ""


def is_declared(cluster: Cluster) -> bool:
    """Return whether the document names the addresses, which reserves them."""
    return cluster.spec.dns.cluster_ips is not None


def document(addresses: tuple[str, ...]) -> Service:
    """Return the implicit document of the service with *addresses*."""
    namespace, name = NAME
    return msgspec.convert(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "clusterIP": addresses[0],
                "clusterIPs": addresses,
                "ipFamilies": tuple(map(family_of, addresses)),
                "ipFamilyPolicy": "SingleStack" if len(addresses) == 1 else "PreferDualStack",
                "internalTrafficPolicy": "Local",
                "ports": [
                    {"name": port, "protocol": protocol, "port": PORT} for port, protocol in PORTS
                ],
            },
        },
        Service,
    )
