"""The lab for real: two nodes are booted, used, broken, and taken down without a trace.

Needs root; the first run on a machine builds the base tree.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groundplane_deploys.lab import (
    Lab,
    LabError,
    LabNode,
    down,
    entered,
    ssh_config,
    status,
    stop,
    up,
)
from groundplane_deploys.lab.cgroups import hierarchies
from groundplane_deploys.lab.git import repository, serves_git
from groundplane_deploys.lab.model import SERVERS
from groundplane_deploys.lab.network import node_namespace
from groundplane_deploys.lab.services import services
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.nodes

LAB = Lab(
    prefix="gp-labtest",
    gateway=("192.168.61.1/24", "fd61::1/64"),
    nodes=(
        LabNode("n1", ("192.168.61.11/24", "fd61::11/64")),
        LabNode("n2", ("192.168.61.12/24", "fd61::12/64")),
    ),
    state=Path("/var/lib/groundplane-labtest"),
)


def find_traces(lab: Lab) -> list[str]:
    """Everything on this machine that carries the lab's prefix, but for its cache."""
    machine = f"{lab.prefix}-"
    found = [
        str(path)
        for directory in ("/run/netns", "/run/systemd/nspawn/propagate", "/tmp")
        for path in Path(directory).glob("*")
        if path.name == lab.prefix or path.name.startswith(machine)
    ]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [line for line in mounts if lab.prefix in line or str(lab.state) in line]
    found += [str(root / lab.prefix) for root in hierarchies() if (root / lab.prefix).exists()]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            groups = (process / "cgroup").read_text()
            if not any(words):
                continue  # it has ended; to forget it is the business of init
            if f"/{lab.prefix}" in groups or any(str(lab.state).encode() in word for word in words):
                found.append(f"process {process.name}: {words}")
    if lab.state.exists():
        found.append(str(lab.state))
    return found


def on(node: str, command: str, lab: Lab = LAB) -> str:
    """Run a command on a node by ssh, from within the lab's network."""
    argv = ["ssh", "-F", str(ssh_config(lab)), node, command]
    with entered(lab):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{node}: {command}: {done.stderr}{done.stdout}"
    return done.stdout.strip()


def find_nspawn(node: str) -> int:
    """The process that holds a node, as the machine's power supply would."""
    wanted = f"--machine={node_namespace(LAB.prefix, node)}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0] == b"systemd-nspawn" and wanted in words:
                return int(process.name)
    raise AssertionError(f"no systemd-nspawn for {node}")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    down(LAB)
    try:
        up(LAB)
        yield LAB
    finally:
        down(LAB)
    assert find_traces(LAB) == []


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_node_is_a_whole_machine_without_a_failed_unit(lab: Lab, node: str) -> None:
    assert on(node, "systemctl is-system-running --wait", lab) == "running"
    assert on(node, "systemctl --failed --no-legend", lab) == ""
    assert on(node, "hostname", lab) == node
    assert on(node, "cat /etc/resolv.conf", lab) == "nameserver 192.168.61.1\nnameserver fd61::1"
    assert on(node, "systemctl is-enabled ssh systemd-networkd", lab) == "enabled\nenabled"
    assert on(node, "systemctl is-active named || true", lab) == "inactive"


def test_nodes_have_identities_of_their_own(lab: Lab) -> None:
    for command in ("cat /etc/machine-id", "cat /etc/ssh/ssh_host_*_key.pub"):
        assert on("n1", command, lab) != on("n2", command, lab)


@pytest.mark.parametrize("address", ["192.168.61.12", "fd61::12", "192.168.61.1", "fd61::1", "n2"])
def test_nodes_reach_each_other_and_the_gateway(lab: Lab, address: str) -> None:
    on("n1", f"ping -c 1 -W 2 {address}", lab)


def test_the_default_routes_lead_to_the_gateway(lab: Lab) -> None:
    assert "via 192.168.61.1 dev host0" in on("n1", "ip -4 route show default", lab)
    assert "via fd61::1 dev host0" in on("n1", "ip -6 route show default", lab)


def test_the_resolver_answers_for_its_zone_and_for_nothing_else(lab: Lab) -> None:
    assert on("n1", "dig +short www.example.test", lab) == "192.0.2.80"
    assert on("n1", "dig +short @fd61::1 AAAA www.example.test", lab) == "2001:db8::80"
    assert "site" in on("n1", "dig +short TXT example.test", lab)
    assert "status: REFUSED" in on("n1", "dig @192.168.61.1 example.org", lab)


def test_what_a_deploy_needs_works_on_a_node(lab: Lab) -> None:
    on("n1", "sysctl -w net.ipv4.ip_forward=1", lab)
    on("n1", "ip netns add work && ip netns exec work ip link set lo up", lab)
    on("n1", "nft add table ip probe && nft delete table ip probe", lab)
    on("n1", "python3 -m venv /opt/probe && /opt/probe/bin/pip --version", lab)


def test_a_locked_down_unit_can_use_netfilter_and_nothing_more(lab: Lab) -> None:
    on("n1", "useradd --system probe", lab)
    properties = (
        "User=probe",
        "AmbientCapabilities=CAP_NET_ADMIN",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "RestrictNamespaces=yes",
        "StateDirectory=probe",
    )
    options = " ".join(f"--property={each}" for each in properties)
    script = "nft add table ip boxed; touch /var/lib/probe/ok; ! touch /usr/probe 2>/dev/null"

    on("n1", f"systemd-run --quiet --wait --pipe {options} sh -ec '{script}'", lab)

    assert "table ip boxed" in on("n1", "nft list tables", lab)


def test_a_unit_can_join_a_namespace_of_the_node(lab: Lab) -> None:
    on("n2", "ip netns add inner", lab)

    links = on(
        "n2",
        "systemd-run --quiet --wait --pipe"
        " --property=NetworkNamespacePath=/run/netns/inner ip -brief link",
        lab,
    )

    assert [line.split()[0] for line in links.splitlines()] == ["lo"]


def test_networkd_makes_bridges_and_veths_on_a_node(lab: Lab) -> None:
    files = {
        "20-probe.netdev": "[NetDev]\nName=probe0\nKind=bridge\n",
        "20-probe.network": "[Match]\nName=probe0\n[Network]\nAddress=10.96.0.1/32\n"
        "ConfigureWithoutCarrier=yes\n",
        "21-probe.netdev": "[NetDev]\nName=probe1\nKind=veth\n[Peer]\nName=probe2\n",
        "21-probe.network": "[Match]\nName=probe1\n[Network]\nBridge=probe0\n",
    }
    for name, text in files.items():
        on("n2", f"printf %s '{text}' > /etc/systemd/network/{name}", lab)
    on("n2", "networkctl reload", lab)

    until(lambda: "10.96.0.1" in on("n2", "ip -brief address show probe0 || true", lab))
    until(lambda: "probe1" in on("n2", "ip -brief link show master probe0", lab))


def test_a_reboot_keeps_the_disk_and_the_addresses_and_nothing_else(lab: Lab) -> None:
    boot, machine = "cat /proc/sys/kernel/random/boot_id", "cat /etc/machine-id"
    before, identity = on("n2", boot, lab), on("n2", machine, lab)
    on("n2", "echo kept > /root/kept && nft add table ip gone && ip link add gone type bridge", lab)

    on("n2", "systemctl --no-block reboot", lab)

    def has_rebooted() -> bool:
        with contextlib.suppress(AssertionError):
            return on("n2", boot, lab) != before
        return False

    until(has_rebooted, 30)
    assert on("n2", "cat /root/kept", lab) == "kept"
    assert on("n2", machine, lab) == identity
    assert "gone" not in on("n2", "nft list tables; ip -brief link", lab)
    on("n1", "ping -c 1 -W 2 192.168.61.12", lab)
    on("n1", "ping -c 1 -W 2 fd61::12", lab)


def test_a_second_up_leaves_running_nodes_alone_and_is_fast(lab: Lab) -> None:
    before = on("n1", "cat /proc/sys/kernel/random/boot_id", lab)
    began = time.monotonic()

    up(lab)

    assert time.monotonic() - began < PATIENCE * 5
    assert on("n1", "cat /proc/sys/kernel/random/boot_id", lab) == before


def test_a_node_that_lost_its_power_comes_back_with_its_disk(lab: Lab) -> None:
    on("n1", "echo kept > /root/kept && sync", lab)
    other = on("n2", "cat /proc/sys/kernel/random/boot_id", lab)
    os.kill(find_nspawn("n1"), signal.SIGKILL)
    until(lambda: not next(each for each in status(lab) if each.name == "n1").running)

    up(lab)

    assert on("n1", "cat /root/kept", lab) == "kept"
    assert on("n2", "cat /proc/sys/kernel/random/boot_id", lab) == other
    assert all(each.reachable for each in status(lab))


def test_a_lab_whose_key_was_lost_is_opened_by_a_new_one(lab: Lab) -> None:
    on("n1", "echo kept > /root/kept && sync", lab)
    for path in lab.ssh_dir.glob("id_ed25519*"):
        path.unlink()

    up(lab)

    assert on("n1", "cat /root/kept", lab) == "kept"
    assert on("n2", "hostname", lab) == "n2"


def test_a_lab_whose_bridge_is_gone_has_its_network_again(lab: Lab) -> None:
    subprocess.run(["ip", "-n", lab.prefix, "link", "delete", "br0"], check=True)

    up(lab)

    on("n1", "ping -c 1 -W 2 192.168.61.12", lab)


def test_servers_that_were_killed_serve_again(lab: Lab) -> None:
    services(lab.prefix).stop(SERVERS)

    up(lab)

    assert on("n1", "dig +short www.example.test", lab) == "192.0.2.80"
    assert serves_git(lab)


def test_the_git_server_does_not_mind_a_new_user_of_the_machine(lab: Lab) -> None:
    """adduser(8) replaces /etc/passwd, and a mount over a file that is replaced goes with it."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(repository(lab))], check=True)
    passwd, new = Path("/etc/passwd"), Path("/etc/passwd.gp-labtest")
    shutil.copy2(passwd, new)
    new.rename(passwd)

    assert serves_git(lab)


def test_a_lab_that_was_switched_off_goes_on_and_no_client_waits_for_its_old_nodes(
    lab: Lab,
) -> None:
    """A connection that several commands share outlives each of them, and would the network too."""
    on("n1", "echo kept > /root/kept && sync", lab)
    argv = ["ssh", "-F", str(ssh_config(lab)), "-o", "ControlMaster=yes", "-fN", "n1"]
    with entered(lab):
        subprocess.run(argv, check=True, timeout=60, stderr=subprocess.DEVNULL)
    assert any(path.is_socket() for path in lab.ssh_dir.iterdir())

    stop(lab)

    assert not any(path.is_socket() for path in lab.ssh_dir.iterdir())
    up(lab)
    assert on("n1", "cat /root/kept", lab) == "kept"


def test_a_node_can_be_added_to_a_running_lab(lab: Lab) -> None:
    before = on("n1", "cat /proc/sys/kernel/random/boot_id", lab)
    larger = replace(lab, nodes=(*lab.nodes, LabNode("n3-with-a-long-name", ("192.168.61.13/24",))))

    up(larger)

    on("n3-with-a-long-name", "ping -c 1 -W 2 n1", larger)
    assert on("n1", "cat /proc/sys/kernel/random/boot_id", larger) == before


def test_two_labs_do_not_disturb_each_other(lab: Lab) -> None:
    # Its prefix begins like the first one's, and its addresses are the same.
    other = replace(lab, prefix=f"{lab.prefix}-b", state=lab.state.with_name(f"{lab.state.name}-b"))
    before = on("n1", "cat /proc/sys/kernel/random/boot_id", lab)
    try:
        up(other)
        assert on("n1", "cat /proc/sys/kernel/random/boot_id", other) != before
    finally:
        down(other)

    assert find_traces(other) == []
    assert all(each.reachable for each in status(lab))
    assert on("n1", "cat /proc/sys/kernel/random/boot_id", lab) == before


def test_a_state_directory_of_another_lab_or_of_something_else_is_refused(
    lab: Lab, tmp_path: Path
) -> None:
    with pytest.raises(LabError, match=f"belongs to the lab {lab.prefix}"):
        down(replace(lab, prefix="gp-labtest-c"))
    (tmp_path / "precious").touch()
    with pytest.raises(LabError, match="in use by something else"):
        up(replace(lab, prefix="gp-labtest-c", state=tmp_path))
    down(replace(lab, prefix="gp-labtest-c", state=tmp_path))
    assert (tmp_path / "precious").exists()


def test_a_node_that_does_not_boot_is_explained_and_can_be_taken_down() -> None:
    broken = Lab(
        prefix="gp-labtest-d",
        nodes=(LabNode("n1", ("192.168.50.11/24",)),),
        state=Path("/var/lib/groundplane-labtest-d"),
        cache=Path("/var/lib/groundplane-labtest-d-cache"),
    )
    try:
        down(broken)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "groundplane_deploys.lab.lifecycle.ensure_base", lambda cache, _tree: cache
            )
            with pytest.raises(LabError) as caught:
                up(broken)
        assert "n1: it ended while booting" in str(caught.value)
        assert "OS root directory" in str(caught.value)
        assert "`down` removes it" in str(caught.value)
    finally:
        down(broken)
        shutil.rmtree(broken.cache)
    assert find_traces(broken) == []


def test_taking_down_what_is_not_there_is_no_error() -> None:
    down(Lab(prefix="gp-labtest-e", state=Path("/var/lib/groundplane-labtest-e")))
