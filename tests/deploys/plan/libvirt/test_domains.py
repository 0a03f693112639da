"""Domains: what is asked for is read back from the XML, and what libvirt adds is not a difference."""

from dataclasses import replace

import pytest
from hypothesis import given

from groundplane_deploys.plan.libvirt.domains import (
    DomainType,
    differences,
    domain_xml,
    read_domain,
)
from groundplane_deploys.plan.libvirt.machine import Machine
from tests.deploys.plan.libvirt.machines import BRIDGE, ON_BRIDGE, V1, machines

# As libvirt 9 shows it while it runs, shortened where it repeats itself.
ADDED = """\
<domain type='qemu' id='1'>
  <name>v1</name>
  <uuid>{uuid}</uuid>
  <metadata>
    <groundplane:owned xmlns:groundplane="urn:groundplane:libvirt:1" site="lab" definition="{definition}"/>
  </metadata>
  <memory unit='KiB'>524288</memory>
  <currentMemory unit='KiB'>524288</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <cpu mode='maximum' check='none'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/var/lib/groundplane-vms/disks/v1.qcow2' index='2'/>
      <backingStore type='file' index='3'>
        <format type='qcow2'/>
        <source file='/var/lib/groundplane-vms/images/debian.qcow2'/>
        <backingStore/>
      </backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <source file='/var/lib/groundplane-vms/seeds/v1.iso' index='1'/>
      <target dev='vdb' bus='virtio'/>
      <readonly/>
    </disk>
    <controller type='usb' index='0' model='qemu-xhci'/>
    <interface type='network'>
      <mac address='{mac}'/>
      <source network='vms' portid='0ec6f9d2-7ee2-4a4c-92ff-4de56ff1ecf3' bridge='vms'/>
      <target dev='vnet0'/>
      <model type='virtio'/>
      <mtu size='1500'/>
    </interface>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


@given(machine=machines)
def test_what_is_asked_for_is_read_back(machine: Machine) -> None:
    domain = read_domain(domain_xml(machine, "kvm", "seed"))
    assert (domain.site, domain.type, domain.cpus) == (machine.site, "kvm", machine.cpus)
    assert domain.memory == machine.memory // 1024
    assert domain.disks == (machine.disk_path, machine.seed_path)
    assert (domain.mac, domain.mtu) == (machine.mac, machine.network.mtu)
    assert differences(domain, domain) == ()


def test_what_libvirt_adds_is_no_difference() -> None:
    wanted = read_domain(domain_xml(V1, "qemu", ""))
    live = ADDED.format(uuid=V1.uuid, mac=V1.mac, definition=wanted.definition)
    assert wanted == read_domain(live)


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        (replace(V1, memory=1 << 30), "qemu", ("memory 524288 -> 1048576",)),
        (replace(V1, cpus=4), "qemu", ("cpus 2 -> 4",)),
        (V1, "kvm", ("type qemu -> kvm",)),
        (replace(V1, filter="no-mac-spoofing"), "qemu", ("filter none -> no-mac-spoofing",)),
        (
            replace(V1, network=BRIDGE),
            "qemu",
            ("network network vms -> bridge br-vms", "mtu 1500 -> 9000"),
        ),
    ],
)
def test_a_change_is_said(changed: Machine, kind: DomainType, said: tuple[str, ...]) -> None:
    before = read_domain(domain_xml(V1, "qemu", ""))
    assert said == differences(read_domain(domain_xml(changed, kind, "")), before)


def test_a_change_that_no_field_shows_is_one_too() -> None:
    before, after = (read_domain(domain_xml(V1, "qemu", seed)) for seed in ("a", "b"))
    assert differences(after, before) == ("other settings or cloud-init's seed",)


@pytest.mark.parametrize("machine", [V1, ON_BRIDGE])
def test_what_does_not_reach_the_guest_does_not_change_the_definition(machine: Machine) -> None:
    other = replace(machine, autostart=False, state="off", disk=20 << 30)
    assert domain_xml(machine, "qemu", "") == domain_xml(other, "qemu", "")


def test_a_domain_of_somebody_else_has_no_site() -> None:
    found = read_domain("<domain type='xen'><name>v1</name></domain>")
    assert (found.site, found.disks, found.mac, found.mtu) == ("", (), "", 0)
