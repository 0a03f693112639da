"""The VMs of a hypervisor, as the Node documents say."""

from collections.abc import Sequence
from pathlib import Path

from pyinfra import host
from pyinfra.api import deploy

from groundplane.deploy_api import Network
from groundplane_deploys.catalog import read_source
from groundplane_deploys.operations import disks, domains, libvirt, pins
from groundplane_deploys.operations.virsh import Restart
from groundplane_deploys.plan.libvirt.machine import Machine, machines_of
from groundplane_deploys.plan.libvirt.networks import reservations
from groundplane_deploys.virtualization.declared import DEFAULTS, declared
from groundplane_deploys.vm_keys import pinned_file


@deploy("VMs", data_defaults=DEFAULTS)
def vms() -> None:
    """Define, change, start, stop and remove VMs until they are as declared."""
    catalog, hypervisor = read_source(), declared()
    site, pool = catalog.cluster.metadata.name, hypervisor.spec.pool
    machines = machines_of(catalog, hypervisor, host.data.authorized_keys)
    networks = tuple(each for each in hypervisor.spec.networks if each.mode != "bridge")
    libvirt.answering(name="libvirt answers")
    libvirt.unobstructed(
        name="Nothing is in the way of the VMs",
        site=site,
        pool=pool,
        machines=machines,
        networks=networks,
    )
    libvirt.pool(name="There is a pool for disks", site=site, path=pool)
    _others(site, pool, machines)
    _networks(site, machines, networks)
    for machine in machines:
        _machine(machine)
    pins.pinned(
        name="The VMs' host keys are pinned here",
        catalog=catalog,
        pool=pool,
        file=pinned_file(hypervisor.name, Path(host.data.vm_keys_directory)),
    )
    if host.data.boot_timeout:
        domains.answering(
            name="VMs answer by ssh, with their own host keys",
            machines=tuple(machine for machine in machines if machine.state == "running"),
            limit=host.data.boot_timeout,
        )


def _others(site: str, pool: str, machines: Sequence[Machine]) -> None:
    """Stop the VMs of *site* that are not among *machines*, and remove them where that is asked for."""
    kept, limit = tuple(machine.name for machine in machines), host.data.shutdown_timeout
    if host.data.purge is True:
        domains.purged(
            name="VMs without a Node are gone", site=site, kept=kept, pool=pool, limit=limit
        )
    else:
        domains.retired(name="VMs without a Node are off", site=site, kept=kept, limit=limit)


def _networks(site: str, machines: tuple[Machine, ...], networks: Sequence[Network]) -> None:
    for network in networks:
        libvirt.network(
            name=f"Network {network.name} is as declared",
            site=site,
            network=network,
            reserved=reservations(machines, network),
            restart=_when(host.data.restart),
            limit=host.data.shutdown_timeout,
        )
    if host.data.purge is True:
        libvirt.unused_networks(
            name="Networks that are not declared are gone",
            site=site,
            kept=tuple(network.name for network in networks),
        )


def _machine(machine: Machine) -> None:
    limit = host.data.shutdown_timeout
    disks.disk(name=f"{machine.name} has its disk", machine=machine)
    disks.seed(name=f"{machine.name} has its seed", machine=machine)
    domains.domain(name=f"{machine.name} is defined", machine=machine)
    if machine.state == "running":
        domains.running(
            name=f"{machine.name} runs",
            machine=machine,
            restart=_when(host.data.restart),
            limit=limit,
        )
    else:
        domains.off(name=f"{machine.name} is off", domain=machine.name, limit=limit)


def _when(given: object) -> Restart:
    return "now" if given is True else "later"
