"""How the host's own tables are read: mounts, control groups, versions, command lines."""

from pathlib import Path

import pytest

from groundplane_deploys.lab.__main__ import parse_arguments
from groundplane_deploys.lab.cgroups import parse_hierarchies
from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.keeper import compose_boot, devices_of
from groundplane_deploys.lab.model import Lab, LabNode
from groundplane_deploys.lab.mounts import read_mounts
from groundplane_deploys.lab.preflight import KERNEL, NFT, parse_version

HYBRID = """\
25 1 0:23 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 25 0:25 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
28 25 0:26 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,name=systemd
29 25 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def test_a_hybrid_host_has_its_second_version_first_and_cpuset_left_out() -> None:
    assert parse_hierarchies(HYBRID) == (
        Path("/sys/fs/cgroup/unified"),
        Path("/sys/fs/cgroup/cpu,cpuacct"),
        Path("/sys/fs/cgroup/systemd"),
    )


def test_a_unified_host_has_one_hierarchy() -> None:
    line = "29 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"

    assert parse_hierarchies(line) == (Path("/sys/fs/cgroup"),)


def test_spaces_in_mount_points_are_unescaped() -> None:
    line = r"40 1 0:30 / /mnt/a\040b rw shared:1 master:2 - overlay gp-lab-n1 rw,lowerdir=/x"

    assert read_mounts(line) == [(Path("/mnt/a b"), "overlay", "rw,lowerdir=/x")]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nftables v1.0.6 (Lester Gooch #5)", (1, 0, 6)),
        ("6.1.0-18-cloud-amd64", (6, 1, 0)),
        ("6.18.44-fc-v782", (6, 18, 44)),
        ("nothing", ()),
    ],
)
def test_versions_are_found_in_what_programs_print(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_versions_compare_by_number() -> None:
    assert parse_version("6.18.0") >= KERNEL
    assert parse_version("5.10.0-28") < KERNEL
    assert parse_version("v1.0.10") >= NFT


def test_a_node_boots_in_its_own_network_under_the_name_of_its_lab() -> None:
    argv = compose_boot("gp-lab", "n1", Path("/var/lib/lab/nodes/n1/root"))

    assert "--machine=gp-lab-n1" in argv
    assert "--hostname=n1" in argv
    assert "--network-namespace-path=/run/netns/gp-lab-n1" in argv
    assert "--capability=CAP_NET_ADMIN" in argv
    assert "--keep-unit" in argv


def test_nodes_are_read_from_the_command_line() -> None:
    verb, lab = parse_arguments(
        ["up", "--prefix", "gp-x", "--state", "/tmp/x", "--node", "n1=192.168.50.11/24,fd50::11/64"]
    )

    assert verb == "up"
    assert lab == Lab(
        prefix="gp-x",
        state=Path("/tmp/x"),
        nodes=(LabNode("n1", ("192.168.50.11/24", "fd50::11/64")),),
    )


def test_a_node_without_addresses_is_refused() -> None:
    with pytest.raises(LabError, match="node n1: it needs an address"):
        parse_arguments(["up", "--node", "n1"])


def test_devices_of_the_machine_are_for_hypervisors_alone() -> None:
    assert devices_of("node") == []
    assert set(devices_of("hypervisor")) <= {Path("/dev/net/tun"), Path("/dev/kvm")}
    argv = compose_boot("gp-lab", "hv1", Path("/root"), [Path("/dev/net/tun")])
    assert argv[-1] == "--bind=/dev/net/tun"
