"""The cloud-init data of a VM (NoCloud), without the host key, which never leaves its hypervisor.

Every text is dumped as YAML, so text from a document can only become a value.
"""

from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any, Final

import yaml

from groundplane_deploys.plan.libvirt.identity import digest_of
from groundplane_deploys.plan.libvirt.machine import Machine
from groundplane_deploys.plan.libvirt.networks import gateways

LABEL: Final = "cidata"
"""The name of the file system that cloud-init looks for."""

INTERFACE: Final = "eth0"
"""What cloud-init calls the NIC, whatever the kernel did: networkd's units match a name too."""


_NO_ADVERTISEMENTS: Final = {
    "path": f"/etc/systemd/network/10-cloud-init-{INTERFACE}.network.d/groundplane.conf",
    "content": "[Network]\nIPv6AcceptRA=no\n",
}
"""Only declared addresses are used: cloud-init 22.4 tells netplan so, but not networkd."""

_NO_PASSWORDS: Final = {
    "path": "/etc/ssh/sshd_config.d/50-cloud-init.conf",
    "permissions": "0600",
    "content": "PasswordAuthentication no\n",
}
"""The file that `ssh_pwauth` changes, written before sshd starts.

Otherwise cloud-init changes it later and restarts sshd, which has answered and then refuses
connections for some seconds.
"""


@dataclass(frozen=True)
class Seed:
    """The files of the file system; to *user_data* the hypervisor appends `ssh_keys`."""

    meta_data: str
    user_data: str
    network_config: str

    @property
    def files(self) -> dict[str, str]:
        return {
            "meta-data": self.meta_data,
            "user-data": self.user_data,
            "network-config": self.network_config,
        }

    @property
    def digest(self) -> str:
        return digest_of("\n".join(self.files.values()))


def seed_of(machine: Machine) -> Seed:
    """Return what cloud-init makes of *machine*.

    An instance that was never seen before is set up from the start, so its identifier changes with
    all of the rest: new keys or addresses are taken at the next boot.
    """
    user_data = "#cloud-config\n" + _dump(_user_data(machine))
    network_config = _dump(_network_config(machine))
    content = digest_of(user_data + network_config)
    meta_data = _dump(
        {
            "instance-id": f"{machine.name}-{content}",
            "local-hostname": machine.name,
            # All of it is there before the network is: nothing is asked of anybody.
            "dsmode": "local",
        }
    )
    return Seed(meta_data, user_data, network_config)


def _user_data(machine: Machine) -> dict[str, Any]:
    keys = list(machine.authorized_keys)
    common: dict[str, Any] = {
        # No other key than the one that is pinned.
        "ssh_deletekeys": True,
        "ssh_pwauth": False,
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
        "write_files": [_NO_ADVERTISEMENTS, _NO_PASSWORDS],
    }
    if "." in machine.name:  # at each boot, the machine would be called by its first label alone
        common["prefer_fqdn_over_hostname"] = True
    if machine.user == "root":
        return common | {
            "users": [{"name": "root", "ssh_authorized_keys": keys}],
            "disable_root": False,
        }
    user = {
        "name": machine.user,
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": True,
        "ssh_authorized_keys": keys,
    }
    return common | {"users": [user], "disable_root": True}


def _network_config(machine: Machine) -> dict[str, Any]:
    network = machine.network
    routed = network.mode != "bridge"
    hops = gateways(network) if routed else network.gateways
    leased = {4} if machine.addressing == "dhcp" else set[int]()
    ethernet: dict[str, Any] = {
        "match": {"macaddress": machine.mac},
        "set-name": INTERFACE,
        "mtu": network.mtu,
        "dhcp4": 4 in leased,
        "dhcp6": False,
        "addresses": [
            address for address in machine.addresses if ip_interface(address).version not in leased
        ],
        "accept-ra": False,
    }
    for hop in hops:
        if (version := ip_interface(hop).version) not in leased:
            # Deprecated, but of a route to ::/0 cloud-init 22.4 makes one to ::/64.
            ethernet[f"gateway{version}"] = hop
    servers = network.nameservers or (hops if routed else ())
    if servers:
        ethernet["nameservers"] = {"addresses": list(servers)}
    if leased:
        ethernet["dhcp4-overrides"] = {"use-dns": not network.nameservers}
    return {"version": 2, "ethernets": {INTERFACE: ethernet}}


def _dump(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=False, sort_keys=False, allow_unicode=False)
