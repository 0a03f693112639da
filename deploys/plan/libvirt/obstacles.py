"""Obstacles to a site's VMs on a hypervisor: foreign objects, and disks that would shrink."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from groundplane.deploy_api import Network
from groundplane_deploys.plan.libvirt import paths
from groundplane_deploys.plan.libvirt.domains import read_domain
from groundplane_deploys.plan.libvirt.identity import pool_name
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.networks import read_network
from groundplane_deploys.plan.libvirt.pools import read_pool


def obstacles(
    site: str,
    pool: str,
    machines: Sequence[Machine],
    networks: Sequence[Network],
    *,
    domains: Mapping[str, str],
    live_networks: Mapping[str, str],
    pools: Mapping[str, str],
    disks: Mapping[str, int],
    filters: Collection[str],
) -> tuple[str, ...]:
    """Return a sentence for each; the last five are what is there: XML by name, sizes by path, names."""
    return (
        *_pools(site, pool, pools),
        *(
            f'network "{each.name}" is {_owner(read_network(live_networks[each.name]).site)}'
            for each in networks
            if each.name in live_networks and read_network(live_networks[each.name]).site != site
        ),
        *(text for machine in machines for text in _machine(site, machine, domains, disks)),
        *(
            f'VM {each.name}: libvirt has no network filter "{each.filter}"; it has: '
            f"{', '.join(sorted(filters)) or 'none'}"
            for each in machines
            if each.filter and each.filter not in filters
        ),
    )


def _pools(site: str, pool: str, pools: Mapping[str, str]) -> Iterator[str]:
    name = pool_name(site)
    if name in pools and (path := read_pool(pools[name])) != paths.disks(pool):
        yield f'pool "{name}" is {path} and not {paths.disks(pool)}'


def _machine(
    site: str, machine: Machine, domains: Mapping[str, str], disks: Mapping[str, int]
) -> Iterator[str]:
    name = machine.name
    if name in domains and (owner := read_domain(domains[name]).site) != site:
        yield f'domain "{name}" is {_owner(owner)}: nothing of it is touched'
    if (size := disks.get(machine.disk_path, 0)) > machine.disk:
        yield f"VM {name}: its disk has {size} bytes, and is not shrunk to {machine.disk}"
    elif not size and (size := disks.get(machine.base, 0)) > machine.disk:
        yield f"VM {name}: its image has {size} bytes, and its disk only {machine.disk}"


def _owner(site: str) -> str:
    return f'that of another site, "{site}"' if site else "somebody else's"
