"""`allocate`: every address of the site, as a pure function of the catalog and its lock.

An object keeps what the lock gives it. What is new is picked; what nobody needs any more is
released. The result carries the next lock: when it differs from the one given, `groundplane
allocate` has to be run, and until then no agent applies the catalog.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from groundplane.allocate.lock import LOCK_NAME, Lock
from groundplane.allocate.pool import Pool, band_of, merge_released
from groundplane.errors import CatalogError, Fault, LockOutdated
from groundplane.model import address
from groundplane.model.catalog import Catalog, Key, key_of
from groundplane.model.families import families_of, site_families
from groundplane.model.service import Family


@dataclass(frozen=True)
class Allocations:
    """Addresses by object, primary family first, and the lock that records them."""

    subnets: Mapping[str, tuple[str, ...]]  # node -> its subnet of each family
    cluster_ips: Mapping[tuple[str, str], tuple[str, ...]]
    workloads: Mapping[tuple[str, str], tuple[str, ...]]  # own addresses; none with hostNetwork
    lock: Lock


def allocate(catalog: Catalog, lock: Lock) -> Allocations:
    """Return the addresses of every object of *catalog*.

    Raises CatalogError when an address is taken, outside its range, or a range is exhausted.
    """
    work = _Work(catalog, lock)
    subnets = work.subnets()
    cluster_ips = work.cluster_ips()
    workloads = work.workloads(subnets) if not work.faults else {}
    if work.faults:
        raise CatalogError(work.faults)
    held = {Key("Node", "", name): given for name, given in subnets.items()}
    held |= {Key("Service", *name): given for name, given in cluster_ips.items() if given}
    held |= {Key("Workload", *name): given for name, given in workloads.items() if given}
    in_use = {text for given in held.values() for text in given}
    freed = sorted(text for given in lock.held.values() for text in given if text not in in_use)
    released = {text: turn for text, turn in lock.released.items() if text not in in_use}
    return Allocations(subnets, cluster_ips, workloads, Lock(held, merge_released(released, freed)))


def require_current(allocations: Allocations, lock: Lock) -> None:
    """Raise LockOutdated, naming what is missing, when *lock* is not the one of *allocations*."""
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


class _Work:
    """One allocation under way: faults are collected, so that all are reported at once."""

    def __init__(self, catalog: Catalog, lock: Lock) -> None:
        self.catalog = catalog
        self.lock = lock
        self.faults: list[Fault] = []
        self.families = site_families(catalog.cluster)

    def fault(self, key: Key, path: str, message: str) -> None:
        self.faults.append(self.catalog.fault(key, path, message))

    def held(self, key: Key, family: Family) -> str | None:
        given = self.lock.held.get(key, ())
        return next((text for text in given if address.family_of(text) == family), None)

    def serve(self, pool: Pool, family: Family, asks: Iterable["_Ask"]) -> dict[Key, int]:
        """Give each of *asks* its number: who has one keeps it, then fixed ones, then new ones."""
        given: dict[Key, int] = {}
        asks = sorted(asks, key=lambda ask: (not ask.keeps, ask.fixed is None, ask.key))
        for ask in asks:
            number = ask.held if ask.fixed is None else ask.fixed
            try:
                if number is None:
                    number = pool.pick(str(ask.key), f"{ask.key}/{family}")
                else:
                    pool.take(number, str(ask.key))
            except ValueError as error:
                self._refused(ask, error)
                continue
            given[ask.key] = number
        return given

    def _refused(self, ask: "_Ask", error: ValueError) -> None:
        if ask.fixed is not None:
            self.fault(ask.key, ask.path, f"{ask.text} {error}")
        elif ask.held is not None:
            hint = f"delete its line in {LOCK_NAME} to have a new one"
            message = f"an address is never changed in silence: {hint}"
            self.fault(ask.key, "", f"{ask.text}, which {LOCK_NAME} gives it, {error}; {message}")
        else:
            self.fault(ask.key, "", str(error))

    def subnets(self) -> dict[str, tuple[str, ...]]:
        given: dict[str, list[str]] = {name: [] for name in sorted(self.catalog.nodes)}
        listed = self.catalog.cluster.spec.workload_cidrs
        ranges = {address.family_of(each.cidr): each for each in listed}
        for family in self.families:
            each = ranges[family]
            first, last = address.first_last(each.cidr)
            size = 1 << (address.BITS[family] - each.node_prefix)
            pool = Pool(f"{each.cidr} (subnets of nodes)", 0, (last - first) // size)
            pool.released = {
                (address.first_last(text)[0] - first) // size: turn
                for text, turn in self.lock.released.items()
                if "/" in text and address.overlap(text, each.cidr)
            }
            asks = []
            for node in self.catalog.nodes.values():
                index, fixed = _of_family(node.spec.workload_subnets, family)
                text = fixed or self.held(key_of(node), family)
                if text and address.network(text).prefixlen != each.node_prefix:
                    message = (
                        f"{text}, which {LOCK_NAME} gives it, is no /{each.node_prefix}; "
                        f"to have a new one, delete its line in {LOCK_NAME}"
                    )
                    self.fault(key_of(node), "", message)
                    continue
                number = (address.first_last(text)[0] - first) // size if text else None
                path = f"spec.workloadSubnets[{index}]"
                asks.append(_Ask(key_of(node), number if fixed else None, number, text or "", path))
            for key, number in self.serve(pool, family, asks).items():
                subnet = address.from_int(first + number * size, family)
                given[key.name].append(f"{subnet}/{each.node_prefix}")
        return {name: tuple(texts) for name, texts in given.items()}

    def cluster_ips(self) -> dict[tuple[str, str], tuple[str, ...]]:
        wanted = {
            name: () if service.headless else families_of(service, self.catalog.cluster)
            for name, service in self.catalog.services.items()
        }
        given: dict[tuple[str, str], dict[Family, str]] = {name: {} for name in wanted}
        for cidr in self.catalog.cluster.spec.service_cidrs:
            family = address.family_of(cidr)
            pool = _hosts(cidr, f"the service range {cidr}", skip=1)
            pool.band = band_of(address.network(cidr).size)
            pool.released = self._released(family)
            asks = []
            for name, families in wanted.items():
                if family not in families:
                    continue
                service = self.catalog.services[name]
                key = key_of(service)
                index, fixed = _of_family(service.explicit_cluster_ips, family)
                listed = bool(service.spec.cluster_ips)
                path = f"spec.clusterIPs[{index}]" if listed else "spec.clusterIP"
                asks.append(_ask(key, fixed, self.held(key, family), path))
            for key, number in self.serve(pool, family, asks).items():
                given[key.namespace, key.name][family] = address.from_int(number, family)
        return {
            name: tuple(given[name][family] for family in families if family in given[name])
            for name, families in wanted.items()
        }

    def workloads(
        self, subnets: Mapping[str, tuple[str, ...]]
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        given: dict[tuple[str, str], list[str]] = {name: [] for name in self.catalog.workloads}
        own = [w for w in self.catalog.workloads.values() if not w.spec.host_network]
        for family in self.families:
            released = self._released(family)
            asks: dict[str, list[_Ask]] = {name: [] for name in subnets}
            for workload in own:
                key = key_of(workload)
                index, fixed = _of_family(workload.spec.addresses, family)
                held = self.held(key, family)
                node = workload.spec.node
                subnet = next(s for s in subnets[node] if address.family_of(s) == family)
                # A workload that moved to another node leaves its old address behind.
                if held is not None and not address.contains(subnet, held):
                    held = None
                ask = _ask(key, fixed, held, f"spec.addresses[{index}]")
                asks[node].append(ask)
            for node, node_asks in asks.items():
                subnet = next(s for s in subnets[node] if address.family_of(s) == family)
                # The first address is the bridge's own.
                pool = _hosts(subnet, f"{subnet}, the subnet of Node/{node}", skip=2)
                pool.released = released
                for key, number in self.serve(pool, family, node_asks).items():
                    given[key.namespace, key.name].append(address.from_int(number, family))
        return {name: tuple(texts) for name, texts in given.items()}

    def _released(self, family: Family) -> dict[int, int]:
        return {
            address.to_int(text): turn
            for text, turn in self.lock.released.items()
            if "/" not in text and address.family_of(text) == family
        }


@dataclass(frozen=True)
class _Ask:
    """What an object wants of a pool: a number its document fixes, or the one it holds, or any."""

    key: Key
    fixed: int | None
    held: int | None
    text: str
    path: str

    @property
    def keeps(self) -> bool:
        """Whether it only wants what it has already."""
        return self.held is not None and self.fixed in (None, self.held)


def _ask(key: Key, fixed: str | None, held: str | None, path: str) -> _Ask:
    return _Ask(
        key,
        address.to_int(fixed) if fixed else None,
        address.to_int(held) if held else None,
        fixed or held or "",
        path,
    )


def _of_family(texts: Sequence[str], family: Family) -> tuple[int, str | None]:
    """Return the one of *texts* that is of *family*, and its index."""
    found = ((i, text) for i, text in enumerate(texts) if address.family_of(text) == family)
    return next(found, (0, None))


def _hosts(cidr: str, name: str, *, skip: int) -> Pool:
    """Return the pool of *cidr* without its *skip* first addresses and the IPv4 broadcast one."""
    first, last = address.first_last(cidr)
    family = address.family_of(cidr)
    first, last = first + skip, last - (family == "IPv4")
    usable = f"{address.from_int(first, family)} to {address.from_int(last, family)}"
    return Pool(f"{name} ({usable})", first, last)


def bridge_address(subnet: str) -> str:
    """Return the address that a node's bridge has in its *subnet*: the first one."""
    return address.from_int(address.first_last(subnet)[0] + 1, address.family_of(subnet))
