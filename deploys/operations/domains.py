"""Domains: defined as desired, running or off, and removed when no longer declared."""

from collections.abc import Generator, Iterable

from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from groundplane_deploys.facts.libvirt import (
    VIRSH,
    DomainKind,
    Domains,
    FoundDomain,
    OfferedKeys,
    PublicKeys,
)
from groundplane_deploys.operations.virsh import Restart, define, refused, shut_down, virsh
from groundplane_deploys.plan.libvirt import paths
from groundplane_deploys.plan.libvirt.domains import differences, domain_xml, read_domain
from groundplane_deploys.plan.libvirt.greeting import wait_script
from groundplane_deploys.plan.libvirt.identity import pool_name
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.seed import seed_of

Commands = Generator[FileUploadCommand | StringCommand]


@operation()
def domain(machine: Machine) -> Commands:
    """Define *machine*; a running domain keeps the settings it was started with."""
    found, xml = host.get_fact(Domains).get(machine.name), _xml(machine)
    if found is None or differences(read_domain(xml), read_domain(found.inactive)):
        yield from define("define", xml)
    if machine.autostart != (found is not None and found.autostart):
        yield virsh("autostart", machine.name, *([] if machine.autostart else ["--disable"]))
    else:
        host.noop(f"domain {machine.name} is defined as declared")


@operation()
def running(machine: Machine, restart: Restart, limit: int) -> Commands:
    """Start *machine* if it is not running.

    If it runs with other settings than declared, report them. Only if *restart* is "now", shut it
    down within *limit* seconds, and start it.
    """
    name, found = machine.name, host.get_fact(Domains).get(machine.name)
    if found is None or not found.live:
        yield virsh("start", name)
        return
    if found.state == "paused":
        # The cause that stopped it, usually a full disk, existed before this run.
        yield virsh("resume", name)
    changes = differences(read_domain(_xml(machine)), read_domain(found.live))
    if not changes:
        host.noop(f"domain {name} runs as declared")
    elif restart == "now":
        yield shut_down(name, limit)
        yield virsh("start", name)
    else:
        host.log(
            f"VM {name}: {'; '.join(changes)}: needs a restart; --data restart=true does it",
            logger.warning,
        )


@operation()
def off(domain: str, limit: int) -> Commands:
    """Have *domain* shut off, within *limit* seconds."""
    found = host.get_fact(Domains).get(domain)
    if found and found.live:
        yield shut_down(domain, limit)
    else:
        host.noop(f"domain {domain} is off")


@operation()
def retired(site: str, kept: tuple[str, ...], limit: int) -> Commands:
    """Shut off the domains of *site* except those in *kept*, without removing anything."""
    for name, found in _others(site, kept).items():
        if found.live:
            yield shut_down(name, limit)
        if found.autostart:
            yield virsh("autostart", name, "--disable")
        host.log(
            f"VM {name}: there is no Node for it any more; it is off, and kept with its disk until "
            "--data purge=true",
            logger.warning,
        )
    host.noop("no other domain of ours runs")


@operation()
def purged(site: str, kept: tuple[str, ...], pool: str, limit: int) -> Commands:
    """Remove the domains of *site* except *kept*, with their disks, seeds and host keys."""
    others = _others(site, kept)
    for name, found in others.items():
        if found.live:
            yield shut_down(name, limit)
        yield virsh("undefine", name, "--managed-save", "--snapshots-metadata", "--nvram")
        seed, key = paths.seed(pool, name), paths.host_key(pool, name)
        files = (
            paths.disk(pool, name), seed, f"{seed.removesuffix('.iso')}.digest", key, f"{key}.pub"
        )  # fmt: skip
        yield StringCommand("rm -f", *(QuoteString(file) for file in files))
    if others:
        yield virsh("pool-refresh", pool_name(site))
    host.noop("no other domain is ours")


@operation()
def answering(machines: tuple[Machine, ...], limit: int) -> Commands:
    """Wait up to *limit* seconds for *machines* to answer by ssh, each with its own host key."""
    for machine in machines:
        if not machine.reachable_host:
            host.log(
                f"VM {machine.name}: its ssh is not checked: network {machine.network.name} has no "
                "addresses of the hypervisor",
                logger.warning,
            )
    waiting = _silent(machines)
    for machine in waiting:
        yield StringCommand(wait_script(machine, limit, VIRSH))
    if not waiting:
        host.noop("every VM answers with its host key")


@operation()
def snapshot(domain: str, snapshot: str) -> Commands:
    """Create the snapshot *snapshot* of *domain*: of its disk, and of its memory if it runs."""
    found = host.get_fact(Domains).get(domain)
    if found and snapshot in found.snapshots:
        host.noop(f"domain {domain} has a snapshot {snapshot}")
    else:
        yield virsh("snapshot-create-as", domain, snapshot)


@operation(is_idempotent=False)
def reverted(domain: str, snapshot: str) -> Commands:
    """Revert *domain* to *snapshot*."""
    found = host.get_fact(Domains).get(domain)
    if found and snapshot not in found.snapshots:
        yield refused(f"domain {domain} has no snapshot {snapshot}")
    yield virsh("snapshot-revert", domain, snapshot)


def _xml(machine: Machine) -> str:
    return domain_xml(machine, host.get_fact(DomainKind), seed_of(machine).digest)


def _others(site: str, kept: tuple[str, ...]) -> dict[str, FoundDomain]:
    return {
        name: found
        for name, found in host.get_fact(Domains).items()
        if name not in kept and read_domain(found.inactive).site == site
    }


def _silent(machines: Iterable[Machine]) -> list[Machine]:
    asked = [machine for machine in machines if machine.reachable_host]
    if not asked:
        return []
    offered = host.get_fact(OfferedKeys, addresses=[each.reachable_host for each in asked])
    pinned = host.get_fact(PublicKeys, directory=paths.host_keys(asked[0].pool))
    return [each for each in asked if offered.get(each.reachable_host, "") != pinned.get(each.name)]
