"""libvirt itself: that it answers, that names are free, its pool, and its networks."""

from collections.abc import Generator

from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from groundplane.deploy_api import Network
from groundplane_deploys.facts.libvirt import (
    Domains,
    Filters,
    LibvirtFault,
    Networks,
    Pools,
    Volumes,
)
from groundplane_deploys.operations.virsh import Restart, define, refused, shut_down, virsh
from groundplane_deploys.plan.libvirt import paths
from groundplane_deploys.plan.libvirt.domains import read_domain
from groundplane_deploys.plan.libvirt.identity import pool_name
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.networks import (
    Reservation,
    network_xml,
    other_differences,
    read_network,
)
from groundplane_deploys.plan.libvirt.obstacles import obstacles
from groundplane_deploys.plan.libvirt.pools import pool_xml

Commands = Generator[FileUploadCommand | StringCommand]


@operation()
def answering() -> Commands:
    """Fail where libvirt does not answer."""
    fault = host.get_fact(LibvirtFault)
    if fault:
        yield refused(f"libvirt does not answer: {fault}; see: systemctl status libvirtd")
    else:
        host.noop("libvirt answers")


@operation()
def unobstructed(
    site: str, pool: str, machines: tuple[Machine, ...], networks: tuple[Network, ...]
) -> Commands:
    """Fail before any change if there are obstacles, and name all of them."""
    filters: list[str] = host.get_fact(Filters)
    found = obstacles(
        site,
        pool,
        machines,
        networks,
        domains={name: each.inactive for name, each in host.get_fact(Domains).items()},
        live_networks={name: each.inactive for name, each in host.get_fact(Networks).items()},
        pools={name: each.inactive for name, each in host.get_fact(Pools).items()},
        disks={
            path: volume.size
            for path, volume in host.get_fact(
                Volumes, paths=[path for each in machines for path in (each.disk_path, each.base)]
            ).items()
        },
        filters=filters,
    )
    if found:
        yield refused("\n".join(found))
    else:
        host.noop("nothing is in the way")


@operation()
def pool(site: str, path: str) -> Commands:
    """Create the directory *path*, and in it the pool of *site*'s disks, started at boot."""
    name, disks = pool_name(site), paths.disks(path)
    found = host.get_fact(Pools).get(name)
    if found is None:
        # Others may traverse it, as qemu's user must, but not list it.
        yield StringCommand(
            "install -d -m 711", *map(QuoteString, (path, disks, paths.seeds(path))),
            "&& install -d -m 700", QuoteString(paths.host_keys(path)),
        )  # fmt: skip
        yield from define("pool-define", pool_xml(site, disks))
    if found is None or not found.autostart:
        yield virsh("pool-autostart", name)
    if found is None or not found.live:
        yield virsh("pool-start", name)
    else:
        host.noop(f"pool {name} is active")


@operation()
def network(
    site: str,
    network: Network,
    reserved: frozenset[Reservation],
    restart: Restart,
    limit: int,
) -> Commands:
    """Define *network* in libvirt, with an address *reserved* for each VM that uses DHCP.

    Reservations change while it is up. Any other change cuts off its VMs, so it is made only if
    *restart* is "now"; the VMs are then shut down within *limit* seconds.
    """
    name, xml = network.name, network_xml(site, network, reserved)
    wanted, found = read_network(xml), host.get_fact(Networks).get(name)
    if found is None:
        yield from define("net-define", xml)
        yield virsh("net-autostart", name)
        yield virsh("net-start", name)
        return
    defined = read_network(found.inactive)
    if other_differences(wanted, defined):
        yield from define("net-define", xml)
    else:
        scope = ["--config", *(["--live"] if found.live else [])]
        for verb, hosts in (
            ("delete", defined.reservations - wanted.reservations),
            ("add", wanted.reservations - defined.reservations),
        ):
            for each in sorted(hosts):
                yield virsh("net-update", name, verb, "ip-dhcp-host", each.xml, *scope)
    if not found.autostart:
        yield virsh("net-autostart", name)
    if not found.live:
        yield virsh("net-start", name)
    elif changes := other_differences(wanted, read_network(found.live)):
        if restart == "now":
            yield from _restart(site, name, limit)
        else:
            host.log(
                f"network {name}: {'; '.join(changes)}: needs a restart that cuts off its VMs; "
                "--data restart=true does it",
                logger.warning,
            )
    else:
        host.noop(f"network {name} is as declared")


@operation()
def unused_networks(site: str, kept: tuple[str, ...]) -> Commands:
    """Remove the networks of *site* but those named *kept*."""
    for name, found in host.get_fact(Networks).items():
        if name in kept or read_network(found.inactive).site != site:
            continue
        if carried := _carried(name):
            host.log(
                f"network {name} is not declared any more, and kept: {', '.join(carried)} runs on it",
                logger.warning,
            )
            continue
        if found.live:
            yield virsh("net-destroy", name)
        yield virsh("net-undefine", name)
    host.noop("no other network is ours")


def _carried(network: str) -> dict[str, str]:
    """Return the domains that run on *network*, each with its owner: the site, or ""."""
    live = {
        name: read_domain(each.live) for name, each in host.get_fact(Domains).items() if each.live
    }
    return {
        name: domain.site for name, domain in live.items() if domain.network == f"network {network}"
    }


def _restart(site: str, network: str, limit: int) -> Commands:
    carried = _carried(network)
    foreign = [name for name, owner in carried.items() if owner != site]
    if foreign:
        yield refused(
            f"network {network} is not restarted: {', '.join(foreign)} of others runs on it"
        )
    for name in carried:
        yield shut_down(name, limit)
    yield virsh("net-destroy", network)
    yield virsh("net-start", network)
