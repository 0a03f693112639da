"""What IPVS does differently, and its rows of `describe`. Pure. See docs/decisions/0024-ipvs.md."""

from collections.abc import Iterator

from groundplane.proxies.proxy import Feature, Features
from groundplane.site.compiled import Service, Site


def unsupported(features: Features) -> Iterator[tuple[Feature, str]]:
    if features.affinity and features.external_local:
        who = "a client inside the site that asks an address from outside"
        yield "affinity", f"{who} does not stay with its endpoint"
    if features.consistent_hash and not features.equal_weights:
        yield "consistent hash", "the weights of its workloads do not count"
    if features.consistent_hash and features.mixed:
        yield "consistent hash", "a client gets another endpoint than on the other nodes"


def describe(site: Site, service: Service, where: str) -> Iterator[tuple[str, str]]:
    """Yield how IPVS balances *service*."""
    if service.cluster_ips:
        name = "mh" if service.consistent_hash else service.scheduler or site.ipvs.scheduler
        yield "IPVS Scheduler", f"{name}{where}"
        yield "IPVS Forwarding", f"{service.forwarding}{where}"
