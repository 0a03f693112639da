"""The dataplanes and the ruleset of a node, whatever its proxy mode."""

from functools import cache
from typing import Any

from groundplane.dataplanes import Dataplane
from groundplane.dataplanes.conntrack import StaleFlows
from groundplane.dataplanes.links import Links
from groundplane.dataplanes.nftables import Nftables, Rules, ruleset
from groundplane.dataplanes.plumbing import PLUMBING
from groundplane.project.state import NodeBase, NodeState
from groundplane.proxies import proxies, proxy_of


def rules_of(base: NodeBase) -> tuple[Rules, ...]:
    """Return the rules that share a transaction on the node of *base*."""
    return _rules(base.proxy_mode)


@cache
def _rules(mode: str) -> tuple[Rules, ...]:
    of_mode = proxy_of(mode).rules()
    return (PLUMBING, of_mode) if of_mode else (PLUMBING,)


def planes_of_the_proxies() -> list[Dataplane[Any, Any]]:
    """Return the dataplanes that translate services' packets, in write order.

    A mode's own dataplanes precede the rules, which lead packets to them.
    """
    own = [make() for each in proxies() for make in each.planes.values()]
    return [*own, Nftables(rules_of)]


def planes(flows: StaleFlows) -> list[Dataplane[Any, Any]]:
    """Return all dataplanes of a node except DNS, in write order."""
    return [Links(), *planes_of_the_proxies(), flows]


def names_of_the_proxies() -> set[str]:
    """Return the names of the dataplanes that translate services' packets."""
    return {"nftables", *(name for each in proxies() for name in each.planes)}


def files_of(state: NodeState) -> dict[str, str]:
    """Return the ruleset's file and any others that the proxy mode needs, by name."""
    rules, elements = rules_of(state.base), dict[bytes, bytes]()
    for part in state.parts:
        for each in rules:
            elements.update(each.render(state.base, part))
    text = ruleset(rules, state.base, elements)
    return {"nftables.nft": text, **proxy_of(state.base.proxy_mode).files(state)}
