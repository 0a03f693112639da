"""The machines of a catalog, as deploy tools know them."""

from pathlib import Path

from groundplane.inventory import ansible, groups, hosts, known_hosts
from tests.catalogs import PUBLIC_KEY, SITE, read

MACHINES = """
apiVersion: groundplane/v1
kind: Image
metadata: {name: debian}
spec: {build: {}}
---
apiVersion: groundplane/v1
kind: Hypervisor
metadata: {name: big, labels: {topology.kubernetes.io/zone: East-1}}
spec:
  management: {host: big.example, port: 2222, user: admin, keyFile: /keys/admin,
               hostKeys: [PUBLIC_KEY]}
  networks: [{name: br0, cidrs: [192.0.2.0/24]}]
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: v1, labels: {topology.kubernetes.io/zone: east-1, example.com/rack: r/7}}
spec:
  addresses: [192.0.2.7]
  management: {hostKeys: [PUBLIC_KEY]}
  vm: {hypervisor: big, image: debian, network: br0}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: big}
spec: {addresses: [192.0.2.8]}
""".replace("r/7", "r7").replace("PUBLIC_KEY", PUBLIC_KEY)


def test_groups_are_by_role_zone_label_and_hypervisor(source: Path) -> None:
    assert {
        "hypervisors": ("big",),
        "zone_east_1": ("big", "v1"),
        "nodes": ("big", "n1", "v1"),
        "bare": ("big", "n1"),
        "vms": ("v1",),
        "hypervisor_big": ("v1",),
        "label_example_com_rack_r7": ("v1",),
    } == {name: tuple(sorted(members)) for name, members in _groups(source).items()}


def _groups(source: Path) -> dict[str, tuple[str, ...]]:
    return groups(hosts(read(source, MACHINES)))


def test_hypervisors_come_first_since_vms_need_them(source: Path) -> None:
    assert ["big", "n1", "v1"] == [host.name for host in hosts(read(source, MACHINES))]


def test_a_node_that_is_a_hypervisor_too_is_one_machine(source: Path) -> None:
    big = hosts(read(source, MACHINES))[0]
    assert ("big", "big", "big.example", 2222) == (
        big.node,
        big.hypervisor,
        big.address,
        big.management.port,
    )


def test_host_keys_are_those_of_what_ssh_asks(source: Path) -> None:
    expected = f"[big.example]:2222 {PUBLIC_KEY}\n192.0.2.7 {PUBLIC_KEY}\n"
    assert expected == known_hosts(hosts(read(source, MACHINES)))


def test_ansible_has_the_same_groups_and_variables(source: Path) -> None:
    shown = ansible(hosts(read(source, MACHINES)))
    assert sorted(_groups(source)) == shown["all"]["children"]
    assert {"hosts": ["v1"]} == shown["vms"]
    assert {
        "ansible_host": "big.example",
        "ansible_port": 2222,
        "ansible_user": "admin",
        "ansible_become": True,
        "ansible_ssh_private_key_file": "/keys/admin",
        "node_name": "big",
        "hypervisor_name": "big",
    } == shown["_meta"]["hostvars"]["big"]


def test_a_site_without_machines_of_ours_has_its_nodes(source: Path) -> None:
    assert {"nodes": ("n1",), "bare": ("n1",)} == groups(hosts(read(source, "", SITE)))
