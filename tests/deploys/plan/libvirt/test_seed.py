"""The seed: what cloud-init reads is what the document says, and never more than values."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given

from groundplane.documents.machine import Network
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.seed import seed_of
from tests.deploys.plan.libvirt.machines import KEY, NAT, ON_BRIDGE, V1, machines

LEASED = replace(V1, addressing="dhcp")


def _interface(machine: Machine) -> dict[str, Any]:
    config = yaml.safe_load(seed_of(machine).network_config)
    assert config["version"] == 2
    found: dict[str, Any] = config["ethernets"]["eth0"]
    return found


def test_static_addresses_with_their_routes_and_servers() -> None:
    assert _interface(ON_BRIDGE) == {
        "match": {"macaddress": ON_BRIDGE.mac},
        "set-name": "eth0",
        "mtu": 9000,
        "dhcp4": False,
        "dhcp6": False,
        "addresses": ["192.168.60.11/24", "fd60::11/64"],
        "accept-ra": False,
        "gateway4": "192.168.60.1",
        "gateway6": "fd60::1",
        "nameservers": {"addresses": ["192.168.60.2"]},
    }


def test_on_a_network_of_libvirts_the_hypervisor_is_gateway_and_name_server() -> None:
    found = _interface(V1)
    assert (found["gateway4"], found["gateway6"]) == ("10.77.0.1", "fd77::1")
    assert found["nameservers"] == {"addresses": ["10.77.0.1", "fd77::1"]}


def test_a_lease_is_of_ipv4_and_leaves_the_rest_static() -> None:
    found = _interface(LEASED)
    assert (found["dhcp4"], found["addresses"]) == (True, ["fd77::11/64"])
    assert "gateway4" not in found
    assert found["gateway6"] == "fd77::1"


def test_declared_servers_are_asked_instead_of_those_of_the_lease() -> None:
    network = Network(name="vms", cidrs=NAT.cidrs, mode="nat", nameservers=("9.9.9.9",))
    assert _interface(LEASED)["dhcp4-overrides"] == {"use-dns": True}
    assert _interface(replace(LEASED, network=network))["dhcp4-overrides"] == {"use-dns": False}


def test_a_name_with_dots_is_the_host_name_as_a_whole() -> None:
    """By itself, cloud-init takes its first label for the host name."""
    found = yaml.safe_load(seed_of(replace(V1, name="v1.rack")).user_data)
    assert found["prefer_fqdn_over_hostname"] is True
    assert "prefer_fqdn_over_hostname" not in yaml.safe_load(seed_of(V1).user_data)


def test_root_is_let_in_by_key_alone() -> None:
    text = seed_of(V1).user_data
    assert text.startswith("#cloud-config\n")
    found = yaml.safe_load(text)
    assert (found["disable_root"], found["ssh_pwauth"]) == (False, False)
    assert found["users"] == [{"name": "root", "ssh_authorized_keys": [KEY]}]


@pytest.mark.parametrize("user", ["root", "admin"])
def test_cloud_init_finds_nothing_to_change_for_sshd_once_it_runs(user: str) -> None:
    """Where it finds another value in that file, it restarts sshd, which has answered by then."""
    found = yaml.safe_load(seed_of(replace(V1, user=user)).user_data)
    (written,) = [each for each in found["write_files"] if "/ssh/" in each["path"]]
    assert written == {
        "path": "/etc/ssh/sshd_config.d/50-cloud-init.conf",
        "permissions": "0600",
        "content": "PasswordAuthentication no\n",
    }
    assert found["ssh_pwauth"] is False


def test_another_user_becomes_root_by_sudo() -> None:
    found = yaml.safe_load(seed_of(replace(V1, user="admin")).user_data)
    assert [user["name"] for user in found["users"]] == ["admin"]
    assert found["users"][0]["ssh_authorized_keys"] == [KEY]
    assert found["disable_root"] is True


def test_what_changes_makes_another_instance_so_that_cloud_init_takes_it() -> None:
    others = [
        replace(V1, authorized_keys=()),
        replace(V1, addresses=("10.77.0.12/24",)),
        replace(V1, user="admin"),
    ]
    seen = {yaml.safe_load(seed_of(each).meta_data)["instance-id"] for each in [V1, *others]}
    assert len(seen) == 4
    assert seed_of(replace(V1, memory=1 << 30)) == seed_of(V1)


@given(machine=machines)
def test_no_text_is_more_than_a_value(machine: Machine) -> None:
    """The host key is appended to the text: it has to be a mapping that ends with its line."""
    seed = seed_of(machine)
    text = f"{seed.user_data}ssh_keys:\n  ed25519_private: |\n    a\n    b\n"
    found = yaml.safe_load(text)
    assert found["ssh_keys"] == {"ed25519_private": "a\nb\n"}
    assert found["users"][0]["ssh_authorized_keys"] == list(machine.authorized_keys)
    names = {
        "write_files",
        "ssh_deletekeys",
        "ssh_pwauth",
        "growpart",
        "resize_rootfs",
        "users",
        "disable_root",
    }
    assert set(found) - {"ssh_keys"} == names
    assert yaml.safe_load(seed.meta_data)["local-hostname"] == machine.name
