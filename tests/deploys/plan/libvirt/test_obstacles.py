"""What is in the way is named, all of it, and what is ours is not in the way."""

from dataclasses import replace

from groundplane_deploys.plan.libvirt.domains import domain_xml
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.networks import network_xml
from groundplane_deploys.plan.libvirt.obstacles import obstacles
from groundplane_deploys.plan.libvirt.pools import pool_xml
from tests.deploys.plan.libvirt.machines import NAT, V1

OURS = domain_xml(V1, "qemu", "")


def _found(
    domains: dict[str, str] | None = None,
    networks: dict[str, str] | None = None,
    pools: dict[str, str] | None = None,
    disks: dict[str, int] | None = None,
    machine: Machine = V1,
) -> tuple[str, ...]:
    return obstacles(
        "lab",
        V1.pool,
        [machine],
        [NAT],
        domains=domains or {},
        live_networks=networks or {},
        pools=pools or {},
        disks=disks or {},
        filters=("clean-traffic", "no-mac-spoofing"),
    )


def test_nothing_is_in_the_way_on_a_new_hypervisor_or_on_one_that_is_ours() -> None:
    assert _found() == ()
    ours = _found(
        {"v1": OURS, "other": "<domain type='kvm'><name>other</name></domain>"},
        {"vms": network_xml("lab", NAT, ())},
        {"groundplane-lab": pool_xml("lab", f"{V1.pool}/disks")},
        {V1.disk_path: V1.disk, V1.base: 1 << 30},
    )
    assert ours == ()


def test_all_of_it_is_named() -> None:
    assert _found(
        {"v1": "<domain type='kvm'><name>v1</name></domain>"},
        {"vms": network_xml("other", NAT, ())},
        {"groundplane-lab": pool_xml("lab", "/elsewhere")},
        {V1.disk_path: V1.disk + 1},
    ) == (
        'pool "groundplane-lab" is /elsewhere and not /var/lib/groundplane-vms/disks',
        'network "vms" is that of another site, "other"',
        'domain "v1" is somebody else\'s: nothing of it is touched',
        f"VM v1: its disk has {V1.disk + 1} bytes, and is not shrunk to {V1.disk}",
    )


def test_an_image_larger_than_the_disk_is_in_the_way_of_a_new_one_alone() -> None:
    large = {V1.base: V1.disk + 1}
    assert _found(disks=large) == (
        f"VM v1: its image has {V1.disk + 1} bytes, and its disk only {V1.disk}",
    )
    assert _found(disks=large | {V1.disk_path: V1.disk}) == ()


def test_a_filter_that_libvirt_has_not_is_in_the_way() -> None:
    named = replace(V1, filter="no-mac")
    assert _found(machine=replace(V1, filter="no-mac-spoofing")) == ()
    assert _found(machine=named) == (
        'VM v1: libvirt has no network filter "no-mac"; it has: clean-traffic, no-mac-spoofing',
    )


def test_a_domain_of_another_site_is_in_the_way() -> None:
    other = domain_xml(replace(V1, site="other"), "qemu", "")
    assert _found({"v1": other}) == (
        'domain "v1" is that of another site, "other": nothing of it is touched',
    )
