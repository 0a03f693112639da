"""Annotations of Services and Namespaces that start with groundplane/; unknown ones are errors."""

from collections.abc import Callable, Iterator
from typing import Final

from groundplane.documents.path import join
from groundplane.documents.service import (
    ACCEPTED,
    ADDRESSES,
    CONSISTENT_HASH,
    FORWARDING,
    KEEP_LAST,
    LOAD_BALANCER_CLASS,
    LOAD_BALANCING,
    POOL,
    RANDOM,
    SCHEDULER,
    TOP_LEVEL_DOMAIN,
    Namespace,
    Service,
)
from groundplane.hint import Work, did_you_mean
from groundplane.net.proxy import FORWARDINGS
from groundplane.net.schedulers import scheduler_fault

_PREFIX: Final = "groundplane/"
_KNOWN: Final = (ADDRESSES, FORWARDING, KEEP_LAST, LOAD_BALANCING, POOL, SCHEDULER)


def check_annotations(service: Service, work: Work) -> Iterator[tuple[str, str]]:
    """Yield path and error of each annotation of *service* that is wrong."""
    for name, value in service.metadata.annotations.items():
        if not name.startswith(_PREFIX):
            continue
        path = join("metadata.annotations", name)
        if name in _OF_ANY_TYPE:
            fault = _OF_ANY_TYPE[name](service, value)
        elif name in _KNOWN and not service.ours_to_balance:
            fault = (
                f"it needs type LoadBalancer, and no loadBalancerClass but {LOAD_BALANCER_CLASS}"
            )
        elif name == POOL:
            continue  # pins.py knows pools
        elif name == ADDRESSES:
            both = service.spec.load_balancer_ip
            fault = "spec.loadBalancerIP is given too: one of the two" if both else ""
        else:
            fault = f'unknown annotation "{name}"{did_you_mean(name, _KNOWN, work)}'
        if fault:
            yield path, fault


def namespace_annotation_faults(namespace: Namespace) -> Iterator[tuple[str, str]]:
    """Yield path and error of each annotation of *namespace* that is wrong."""
    for name, value in namespace.metadata.annotations.items():
        path = join("metadata.annotations", name)
        if name == TOP_LEVEL_DOMAIN and value != ACCEPTED:
            yield path, f'expected "{ACCEPTED}", got "{value}"'
        elif name.startswith(_PREFIX) and name != TOP_LEVEL_DOMAIN:
            yield path, f'unknown annotation "{name}"{did_you_mean(name, [TOP_LEVEL_DOMAIN])}'


def _balancing(service: Service, value: str) -> str:
    if value not in (RANDOM, CONSISTENT_HASH):
        hint = did_you_mean(value, (RANDOM, CONSISTENT_HASH))
        return f'expected "{RANDOM}" or "{CONSISTENT_HASH}", got "{value}"{hint}'
    if service.external or service.headless:
        what = "of type ExternalName" if service.external else "that is headless"
        return f"a service {what} balances nothing"
    if service.spec.session_affinity == "ClientIP":
        return "sessionAffinity ClientIP is given too: one of the two"
    return ""


def _scheduling(service: Service, value: str) -> str:
    if service.external or service.headless:
        what = "of type ExternalName" if service.external else "that is headless"
        return f"a service {what} balances nothing"
    if service.consistent_hash:
        return f'{LOAD_BALANCING} "{CONSISTENT_HASH}" is given too: one of the two'
    return scheduler_fault(value) or ""


def _forwarding(service: Service, value: str) -> str:
    if value not in FORWARDINGS:
        hint = did_you_mean(value, FORWARDINGS) or f"; there are: {', '.join(FORWARDINGS)}"
        return f'IPVS has no way "{value}"{hint}'
    if service.external or service.headless:
        what = "of type ExternalName" if service.external else "that is headless"
        return f"a service {what} balances nothing"
    return ""


def _keeping(service: Service, value: str) -> str:
    if value not in ("true", "false"):
        return f'expected "true" or "false", got "{value}"{did_you_mean(value, ("true", "false"))}'
    return "a service of type ExternalName has no endpoints" if service.external else ""


_OF_ANY_TYPE: Final[dict[str, Callable[[Service, str], str]]] = {
    FORWARDING: _forwarding,
    KEEP_LAST: _keeping,
    LOAD_BALANCING: _balancing,
    SCHEDULER: _scheduling,
}
