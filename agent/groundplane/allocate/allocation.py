"""`allocate`: every address of the site, as a pure function of the catalog and its lock.

An object keeps its allocations in the lock. New objects get a free address or port; those that no
object needs any more are released. The result contains the next lock: when it differs from the
given lock, run `groundplane allocate`; until then no agent applies the catalog.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from groundplane.allocate.addresses import Name, cluster_ips, dns_addresses, subnets, workloads
from groundplane.allocate.load_balancers import load_balancers
from groundplane.allocate.lock import LOCK_NAME, Lock
from groundplane.allocate.pool import merge_released
from groundplane.allocate.ports import node_port_key, ports
from groundplane.allocate.requests import AllocationContext
from groundplane.documents.catalog import Catalog, DocumentKey
from groundplane.errors import CatalogError, LockOutdated
from groundplane.net import address


@dataclass(frozen=True)
class Allocations:
    """Addresses and ports by object, primary family first, and the lock that records them."""

    subnets: Mapping[str, tuple[str, ...]]  # node -> its subnet of each family
    cluster_ips: Mapping[Name, tuple[str, ...]]
    node_ports: Mapping[Name, tuple[int, ...]]  # one for each port of the service, 0 for none
    health_checks: Mapping[Name, int]  # 0 for none
    load_balancers: Mapping[Name, tuple[str, ...]]
    workloads: Mapping[Name, tuple[str, ...]]  # own addresses; none with hostNetwork
    lock: Lock
    dns: tuple[str, ...] = ()  # of the site's DNS service

    @property
    def bridges(self) -> dict[str, str]:
        """Node names, keyed by the addresses of their bridges."""
        subnets = self.subnets.items()
        return {address.bridge_address(each): node for node, given in subnets for each in given}

    @property
    def owned(self) -> set[str]:
        """The addresses of workloads and of the nodes' bridges."""
        return {*self.bridges} | {text for given in self.workloads.values() for text in given}


def allocate(catalog: Catalog, lock: Lock) -> Allocations:
    """Return the addresses and ports of every object of *catalog*.

    Raises CatalogError when an address or port is taken or outside its range, or a range is full.
    """
    context = AllocationContext(catalog, lock)
    of_nodes = subnets(context)
    every_node = not context.faults
    node_ports, health_checks = ports(context)
    found = Allocations(
        subnets=of_nodes,
        cluster_ips=cluster_ips(context),
        node_ports=node_ports,
        health_checks=health_checks,
        load_balancers=load_balancers(context),
        workloads=workloads(context, of_nodes) if every_node else {},
        lock=lock,
    )
    if context.faults:
        raise CatalogError(context.faults)
    found = replace(found, dns=dns_addresses(catalog.cluster, found.cluster_ips))
    held = _held(catalog, found)
    in_use = {text for given in held.values() for text in given}
    freed = {text for given in lock.held.values() for text in given if text not in in_use}
    released = {text: turn for text, turn in lock.released.items() if text not in in_use}
    return replace(found, lock=Lock(held, merge_released(released, sorted(freed))))


def _held(catalog: Catalog, found: Allocations) -> dict[DocumentKey, tuple[str, ...]]:
    """Return the lock's entry for each object in *found*."""
    held = {DocumentKey("Node", "", name): given for name, given in found.subnets.items()}
    for kind, addresses in (
        ("Service", found.cluster_ips),
        ("LoadBalancer", found.load_balancers),
        ("Workload", found.workloads),
    ):
        held |= {DocumentKey(kind, *name): given for name, given in addresses.items() if given}
    for name, numbers in found.node_ports.items():
        if any(numbers):
            listed = zip(catalog.services[name].spec.ports, numbers, strict=True)
            held |= {node_port_key(name, port): (str(n),) for port, n in listed if n}
    held |= {
        DocumentKey("HealthCheck", *name): (str(port),)
        for name, port in found.health_checks.items()
        if port
    }
    return held


def require_current(allocations: Allocations, lock: Lock) -> None:
    """Raise LockOutdated, naming missing entries, if *lock* differs from that of *allocations*."""
    if allocations.lock == lock:
        return
    now = allocations.lock.held
    changed = [str(key) for key, given in now.items() if lock.held.get(key) != given]
    gone = [str(key) for key in lock.held if key not in now]
    parts = [
        f"{word} {', '.join(sorted(names)[:3])}{' and others' if len(names) > 3 else ''}"
        for word, names in (("needs addresses for", changed), ("releases those of", gone))
        if names
    ]
    what = " and ".join(parts) or "reorders released addresses"
    message = f"{LOCK_NAME} is not up to date: the catalog {what}; run `groundplane allocate`"
    raise LockOutdated(message)
