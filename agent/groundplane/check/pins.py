"""Other programs' annotations and labels that pin or restrict: implemented, or rejected by name."""

from collections.abc import Iterator
from typing import Final

from groundplane.documents.annotations import (
    FIXED_ADDRESSES,
    HEADLESS,
    INSTEAD,
    INTERNAL,
    NOT_INTERNAL,
    OTHER_PROXY,
    POOLS,
    SOURCE_RANGES,
    UNKNOWN_RESTRICTIONS,
)
from groundplane.documents.catalog import Catalog
from groundplane.documents.external import fixed_load_balancer_ips, pinned_pool
from groundplane.documents.path import join
from groundplane.documents.service import ADDRESSES, POOL, Service
from groundplane.hint import Work, did_you_mean

_SHOWN: Final = 10  # pools


def check_pins(catalog: Catalog, service: Service, work: Work) -> Iterator[tuple[str, str]]:
    """Yield path and error of each unsupported pin or restriction of *service*."""
    yield from _other_proxy(service)
    if service.spec.type != "LoadBalancer":
        if SOURCE_RANGES in service.metadata.annotations:
            message = f"it needs type LoadBalancer, not {service.spec.type}"
            yield join("metadata.annotations", SOURCE_RANGES), message
        return
    yield from _restrictions(service)
    if service.ours_to_balance:
        yield from _contradictions(service, FIXED_ADDRESSES)
        yield from _contradictions(service, POOLS)
        yield from _unknown_pool(catalog, service, work)


def _other_proxy(service: Service) -> Iterator[tuple[str, str]]:
    if service.headless or service.external:
        return
    for label in (OTHER_PROXY, HEADLESS):
        if label in service.metadata.labels:
            message = (
                "kube-proxy leaves such a service to another program, whose packets groundplane "
                "would drop; remove the label, or the Service from this catalog"
            )
            yield join("metadata.labels", label), message


def _restrictions(service: Service) -> Iterator[tuple[str, str]]:
    annotations = service.metadata.annotations
    for name in UNKNOWN_RESTRICTIONS:
        if annotations.get(name):
            message = "unsupported restriction; use spec.loadBalancerSourceRanges, and remove it"
            yield join("metadata.annotations", name), message
    pinned = pinned_pool(service) is not None or fixed_load_balancer_ips(service)
    for name in INTERNAL:
        if annotations.get(name, "").lower() not in NOT_INTERNAL and not pinned:
            message = (
                "it asks for an internal address, and groundplane cannot tell which pool is "
                f"internal; name that by {POOL}"
            )
            yield join("metadata.annotations", name), message


def _contradictions(service: Service, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield an error for each annotation that contradicts the first one given of *names*."""
    annotations = service.metadata.annotations
    given = [name for name in names if name in annotations]
    if names is FIXED_ADDRESSES and given and given[0] != ADDRESSES:
        written = service.spec.load_balancer_ip
        if written and _values(written) != _values(annotations[given[0]]):
            path = join("metadata.annotations", given[0])
            yield path, f"spec.loadBalancerIP is {written}; remove one of the two"
    for name in given[1:]:
        if _values(annotations[name]) != _values(annotations[given[0]]):
            path = join("metadata.annotations", name)
            yield path, f"{given[0]} says {annotations[given[0]]}; remove one of the two"


def _values(text: str) -> set[str]:
    return {each.strip() for each in text.split(",")}


def _unknown_pool(catalog: Catalog, service: Service, work: Work) -> Iterator[tuple[str, str]]:
    pools = [pool.name for pool in catalog.cluster.spec.load_balancer_pools]
    value = pinned_pool(service)
    if value is None or value in pools:
        return
    name = next(each for each in POOLS if each in service.metadata.annotations)
    more = f" and {len(pools) - _SHOWN} more" if len(pools) > _SHOWN else ""
    there_are = f"; there are: {', '.join(pools[:_SHOWN]) or 'none'}{more}"
    hint = did_you_mean(value, pools, work) or there_are
    yield (
        join("metadata.annotations", name),
        f'the Cluster has no load-balancer pool "{value}"{hint}',
    )


def pin_warnings(service: Service) -> Iterator[tuple[str, str]]:
    """Yield path and text of each annotation that has no effect because a field replaces it."""
    for name, field in INSTEAD.items():
        if service.metadata.annotations.get(name, "").lower() not in ("", "disabled", "false"):
            yield join("metadata.annotations", name), f"it has no effect here; use {field}"
