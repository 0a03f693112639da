"""Machines are made of a Node document and all that it refers to."""

from pathlib import Path

from groundplane_deploys.plan.libvirt.machine import Machine, machines_of
from tests.catalogs import PUBLIC_KEY, read

SITE = """\
apiVersion: groundplane/v1
kind: Image
metadata: {name: debian}
spec: {build: {}}
---
apiVersion: groundplane/v1
kind: Hypervisor
metadata: {name: hv1}
spec:
  management: {host: 192.0.2.2}
  pool: /srv/vms
  networks:
  - {name: lan, cidrs: [192.0.2.0/24], uplink: eth0, addresses: [192.0.2.2]}
  - {name: dark, cidrs: [198.51.100.0/25]}
  - {name: inner, cidrs: [203.0.113.0/26], mode: nat}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: c}
spec:
  addresses: [203.0.113.9]
  vm: {hypervisor: hv1, image: debian, network: inner, addressing: dhcp, state: "off"}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: b}
spec:
  addresses: [198.51.100.9]
  vm: {hypervisor: hv1, image: debian, network: dark, autostart: false}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: a}
spec:
  addresses: [192.0.2.9]
  management: {user: admin}
  vm:
    hypervisor: hv1
    image: debian
    network: lan
    cpus: 4
    memory: "2147483000"
    disk: 20Gi
    authorizedKeys: [PUBLIC_KEY one]
""".replace("PUBLIC_KEY", PUBLIC_KEY)


def _machines(path: Path) -> tuple[Machine, ...]:
    catalog = read(path, SITE)
    keys = ["ssh-ed25519 BBBB two", f"{PUBLIC_KEY} one"]
    return machines_of(catalog, catalog.hypervisors["hv1"], keys)


def test_they_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    assert [machine.name for machine in _machines(tmp_path)] == ["a", "b", "c"]


def test_sizes_are_bytes_and_keys_are_named_once(tmp_path: Path) -> None:
    machine = _machines(tmp_path)[0]
    assert (machine.cpus, machine.memory, machine.disk) == (4, 2 << 30, 20 << 30)
    assert machine.authorized_keys == (f"{PUBLIC_KEY} one", "ssh-ed25519 BBBB two")
    assert (machine.site, machine.user) == ("lab", "admin")


def test_addresses_have_the_lengths_of_their_ranges(tmp_path: Path) -> None:
    found = [machine.addresses for machine in _machines(tmp_path)]
    assert found == [("192.0.2.9/24",), ("198.51.100.9/25",), ("203.0.113.9/26",)]


def test_the_hypervisor_reaches_those_on_networks_where_it_has_an_address(tmp_path: Path) -> None:
    hosts = [machine.reachable_host for machine in _machines(tmp_path)]
    assert hosts == ["192.0.2.9", "", "203.0.113.9"]


def test_files_are_below_the_pool(tmp_path: Path) -> None:
    machine = _machines(tmp_path)[0]
    assert (machine.base, machine.disk_path, machine.seed_path, machine.host_key) == (
        "/srv/vms/images/debian.qcow2",
        "/srv/vms/disks/a.qcow2",
        "/srv/vms/seeds/a.iso",
        "/srv/vms/host-keys/a",
    )
