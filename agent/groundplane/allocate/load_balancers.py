"""Addresses of load balancers: fixed by their documents, already held, or from a pool."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from groundplane.allocate.addresses import Name, endpoint_numbers
from groundplane.allocate.pool import Pool, longest_released
from groundplane.allocate.requests import AddressRequest, AllocationContext, request_address
from groundplane.documents.catalog import DocumentKey, key_of
from groundplane.documents.external import external_ranges, fixed_load_balancer_ips, pinned_pool
from groundplane.documents.families import families_of
from groundplane.documents.service import Service
from groundplane.documents.site import LoadBalancerPool
from groundplane.net import address
from groundplane.net.protocols import Family


def load_balancers(context: AllocationContext) -> dict[Name, tuple[str, ...]]:
    """Return the addresses of each load balancer, primary family first; () for other services."""
    given: dict[Name, tuple[str, ...]] = dict.fromkeys(context.catalog.services, ())
    balanced = {
        name: families_of(service, context.catalog.cluster)
        for name, service in context.catalog.services.items()
        if service.ours_to_balance
    }
    if not balanced:
        return given
    by_family = {
        family: _serve(context, family, [name for name in balanced if family in balanced[name]])
        for family in context.families
    }
    for name, families in balanced.items():
        found = [by_family[family].get(name) for family in families]
        given[name] = tuple(text for text in found if text)
    return given


@dataclass
class _Taken:
    """The holders of addresses of one family. Several services may share a fixed address."""

    holders: dict[int, object] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)
    external: dict[int, tuple[DocumentKey, str, str]] = field(default_factory=dict)  # externalIPs


def _serve(context: AllocationContext, family: Family, names: Iterable[Name]) -> dict[Name, str]:
    taken, released = _taken(context, family), context.released(family)
    avoided = endpoint_numbers(context.catalog, family)
    spans = {
        pool.name: list(_spans(pool, family, taken.holders, released, avoided))
        for pool in context.catalog.cluster.spec.load_balancer_pools
    }
    asks = []
    for name in names:
        service = context.catalog.services[name]
        ask = _ask(context, service, family)
        usable = {each.name: spans[each.name] for each in _pools(context, service)}
        usable = {pool: ranges for pool, ranges in usable.items() if ranges}
        if usable or ask.wanted is not None:
            asks.append((ask, usable))
    given: dict[Name, str] = {}
    for ask, usable in sorted(asks, key=lambda each: each[0].order):
        try:
            number = (
                _pick(ask, family, usable) if ask.wanted is None else _keep(context, ask, taken)
            )
        except ValueError as error:
            context.refused(ask, error)
            continue
        taken.holders.setdefault(number, str(ask.document))
        given[ask.key.namespace, ask.key.name] = address.from_int(number, family)
    return given


def _keep(context: AllocationContext, ask: AddressRequest, taken: _Taken) -> int:
    """Return the number that *ask* fixes or holds; ValueError says why it is unavailable."""
    number, holder = ask.wanted or 0, taken.holders.get(ask.wanted or 0)
    if ask.fixed is not None:
        # Several services may share a fixed address, each with other ports.
        if holder and number not in taken.fixed and number not in taken.external:
            raise ValueError(f"is taken by {holder}")
        taken.fixed.add(number)
    elif number in taken.external:
        document, path, text = taken.external[number]
        context.fault(document, path, f"{text} is taken by {ask.document}")
    elif holder:
        raise ValueError(f"is taken by {holder}")
    elif not any(
        address.contains(cidr, ask.text) for _, cidr in external_ranges(context.catalog.cluster)
    ):
        raise ValueError("is in no load-balancer pool and no range of externalIPCIDRs")
    return number


def _pick(ask: AddressRequest, family: Family, usable: Mapping[str, list[Pool]]) -> int:
    spans = [span for pool in usable.values() for span in pool]
    seed = f"{ask.key}/{family}"
    number = next((n for span in spans if (n := span.never_used(seed)) is not None), None)
    if number is None:
        number = longest_released(pair for span in spans for pair in span.reusable())
    if number is None:
        pools = ", ".join(f'"{name}"' for name in usable)
        raise ValueError(f"no {family} address is left in load-balancer pool {pools}")
    return number


def _ask(context: AllocationContext, service: Service, family: Family) -> AddressRequest:
    document = key_of(service)
    key = document._replace(kind="LoadBalancer")
    held = context.held(key, family)
    # A service that now names another pool needs an address of that pool.
    if held and pinned_pool(service) is not None:
        cidrs = [cidr for pool in _pools(context, service) for cidr in pool.cidrs]
        held = held if any(address.contains(cidr, held) for cidr in cidrs) else None
    fixed = (each for each in fixed_load_balancer_ips(service) if _of(each[1], family))
    path, text = next(fixed, ("", None))
    return request_address(key, document, text, held, path)


def _pools(context: AllocationContext, service: Service) -> list[LoadBalancerPool]:
    """Return the pools from which *service* may get an address."""
    named = pinned_pool(service)
    pools = context.catalog.cluster.spec.load_balancer_pools
    return [pool for pool in pools if named in (None, pool.name)]


def _of(text: str, family: Family) -> bool:
    return address.family_of(text) == family


def _spans(
    pool: LoadBalancerPool,
    family: Family,
    holders: dict[int, object],
    released: dict[int, int],
    avoided: frozenset[int],
) -> Iterator[Pool]:
    """Yield the ranges of *pool*, without network and IPv4 broadcast address of a FIRST/LENGTH."""
    for cidr in pool.cidrs:
        if not _of(cidr, family):
            continue
        first, last = address.first_last(cidr)
        if last - first > 1 and not address.is_span(cidr):
            first, last = first + 1, last - (family == "IPv4")
        yield Pool(pool.name, first, last, 0, holders, released, avoided)


def _taken(context: AllocationContext, family: Family) -> _Taken:
    """Return addresses never allocated automatically: those of nodes, forwarders, externalIPs."""
    taken, catalog = _Taken(), context.catalog
    for node in catalog.nodes.values():
        for text in node.spec.addresses:
            if _of(text, family):
                taken.holders[address.to_int(text)] = str(key_of(node))
    for text in catalog.cluster.spec.dns.forwarders:
        if _of(text, family):
            taken.holders[address.to_int(text)] = "the site's resolver"
    for service in catalog.services.values():
        for index, text in enumerate(service.spec.external_ips):
            if _of(text, family):
                number, key = address.to_int(text), key_of(service)
                taken.external[number] = (key, f"spec.externalIPs[{index}]", text)
                taken.holders.setdefault(number, str(key))
    return taken
