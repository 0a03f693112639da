"""Addresses that services are reached at from outside: the fixed ones, and where they may lie."""

from groundplane.model.path import join
from groundplane.model.service import ADDRESSES, Service
from groundplane.model.site import Cluster


def fixed_load_balancer_ips(service: Service) -> list[tuple[str, str]]:
    """Return path and text of each load-balancer address that the document itself fixes."""
    listed = service.metadata.annotations.get(ADDRESSES)
    if listed is not None:
        path = join("metadata.annotations", ADDRESSES)
        return [(path, text.strip()) for text in listed.split(",")]
    text = service.spec.load_balancer_ip
    return [("spec.loadBalancerIP", text)] if text else []


def external_ranges(cluster: Cluster) -> list[tuple[str, str]]:
    """Return path and text of each range that external and load-balancer addresses may lie in."""
    listed = [
        (f"spec.externalIPCIDRs[{index}]", cidr)
        for index, cidr in enumerate(cluster.spec.external_ip_cidrs)
    ]
    listed += [
        (f"spec.loadBalancerPools[{number}].cidrs[{index}]", cidr)
        for number, pool in enumerate(cluster.spec.load_balancer_pools)
        for index, cidr in enumerate(pool.cidrs)
    ]
    return listed
