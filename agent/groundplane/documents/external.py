"""External addresses of services: those that documents fix, and the ranges allowed for them."""

from groundplane.documents.annotations import FIXED_ADDRESSES, POOLS, SOURCE_RANGES
from groundplane.documents.path import join
from groundplane.documents.service import Service
from groundplane.documents.site import Cluster


def fixed_load_balancer_ips(service: Service) -> list[tuple[str, str]]:
    """Return path and text of each load-balancer address that the document itself fixes."""
    annotations = service.metadata.annotations
    if name := next((name for name in FIXED_ADDRESSES if name in annotations), None):
        path = join("metadata.annotations", name)
        return [(path, text.strip()) for text in annotations[name].split(",")]
    text = service.spec.load_balancer_ip
    return [("spec.loadBalancerIP", text)] if text else []


def pinned_pool(service: Service) -> str | None:
    """Return the name of the pool that the document requests, or None for any pool."""
    annotations = service.metadata.annotations
    return next((annotations[name] for name in POOLS if name in annotations), None)


def source_ranges(service: Service) -> list[tuple[str, str]]:
    """Return path and text of each range that may reach the load balancer; empty if all may.

    As in Kubernetes (GetLoadBalancerSourceRanges), the annotation counts if the spec has no ranges.
    """
    listed = service.spec.load_balancer_source_ranges
    if listed:
        paths = (f"spec.loadBalancerSourceRanges[{index}]" for index in range(len(listed)))
        return list(zip(paths, (text.strip() for text in listed), strict=True))
    annotated = service.metadata.annotations.get(SOURCE_RANGES, "").strip()
    path = join("metadata.annotations", SOURCE_RANGES)
    return [(path, text.strip()) for text in annotated.split(",")] if annotated else []


def external_ranges(cluster: Cluster) -> list[tuple[str, str]]:
    """Return path and text of each range allowed for external and load-balancer addresses."""
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
