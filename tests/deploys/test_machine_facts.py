"""Facts about machines: how a host's answer is read, and asked for."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane_deploys.facts.machine import (
    BridgeEntries,
    LearnsRoutes,
    LinkAddresses,
    LinkNames,
    NetnsUnits,
    NetworkFiles,
    Routes,
    SettableNumber,
    TimeServices,
    TunnelAddresses,
    WireGuardKey,
)
from tests.kernel import spaces
from tests.kernel.world import ip, run


def shell(command: object) -> list[str]:
    done = subprocess.run(["sh", "-c", str(command)], text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


def test_whatever_sets_the_clock_counts() -> None:
    lines = ["chrony.service enabled enabled", "systemd-timesyncd.service disabled enabled"]
    assert ["chrony", "systemd-timesyncd"] == TimeServices().process(lines)
    assert [] == TimeServices().process([])


@pytest.fixture
def host() -> Iterator[str]:
    with spaces.namespace("facts") as netns:
        ip(
            f"-n {netns} link add eth0 type dummy"
            if Path("/sys/module/dummy").exists()
            else f"-n {netns} link add eth0 type bridge",
            f"-n {netns} link set eth0 up",
            f"-n {netns} address add 192.0.2.1/24 dev eth0",
            f"-n {netns} address add 2001:db8::1/64 dev eth0 nodad",
        )
        yield netns


@pytest.mark.kernel
@pytest.mark.parametrize(("value", "expected"), [("0", []), ("1", ["eth0"]), ("2", ["eth0"])])
def test_a_link_learns_its_routes_where_the_kernel_is_told_to(
    host: str, value: str, expected: list[str]
) -> None:
    run(host, "sh", "-c", f"echo {value} > /proc/sys/net/ipv6/conf/eth0/accept_ra")
    command = str(LearnsRoutes().command(("192.0.2.1", "2001:db8::1")))
    assert expected == LearnsRoutes().process(run(host, "sh", "-c", command).splitlines())


@pytest.mark.kernel
def test_an_address_that_is_nowhere_has_no_link(host: str) -> None:
    command = str(LearnsRoutes().command(("198.51.100.1",)))
    assert [] == LearnsRoutes().process(run(host, "sh", "-c", command).splitlines())


def test_a_number_that_may_not_be_set_is_none() -> None:
    fact = SettableNumber()
    assert fact.process(shell(fact.command("no/such/setting"))) is None
    assert fact.process(["262144"]) == 262144


def test_there_is_no_key_where_there_is_no_file(tmp_path: Path) -> None:
    fact = WireGuardKey()
    assert fact.process(shell(fact.command(str(tmp_path / "no key")))) == ""
    assert fact.process(["abc=\n"]) == "abc="


def test_units_of_workloads_are_instances() -> None:
    lines = [
        "groundplane-netns@default-web-1.service loaded active exited text",
        "groundplane-netns@.service static -",
        "groundplane-netns@default-web-1.service enabled enabled",
    ]
    assert ["groundplane-netns@default-web-1.service"] == NetnsUnits().process(lines)


def test_the_bridge_was_told_where_a_workload_is() -> None:
    lines = [
        "33:33:00:00:00:01 dev groundplane0 self permanent",
        "02:00:00:00:00:0a dev gpw0 master groundplane0 static",
        "02:00:00:00:00:0b dev gpw1 master groundplane0",  # learned
        "f6:5b:2e:b7:76:ef dev gpw0 master groundplane0 permanent",
    ]
    assert {("02:00:00:00:00:0a", "gpw0")} == BridgeEntries().process(lines)
    assert set() == BridgeEntries().process([])
    assert [] == shell(BridgeEntries().command())


def test_links_by_name() -> None:
    assert "lo" in LinkNames().process(shell(LinkNames().command()))


def test_addresses_on_tunnels_are_known_by_namespace() -> None:
    lines = ["default-a", "tunl0@NONE UNKNOWN 10.96.0.9/32 10.96.0.8/32",
             "ip6tnl0@NONE UNKNOWN fd00:96::9/128", "eth0@if9 UP 10.244.1.2/32",
             "default-b", "eth0@if11 UP 10.244.1.3/32"]  # fmt: skip
    found = TunnelAddresses().process(lines)
    assert {"default-a": ["10.96.0.9", "10.96.0.8", "fd00:96::9"], "default-b": []} == found
    assert {} == TunnelAddresses().process([])
    with spaces.namespace("facts-named") as netns:
        assert [] == TunnelAddresses().process(shell(TunnelAddresses().command()))[netns]


def test_addresses_are_known_by_link_and_routes_by_their_protocol() -> None:
    with spaces.namespace("facts-links") as netns:
        ip(
            f"-n {netns} link add uplink type bridge",
            f"-n {netns} link set uplink up",
            f"-n {netns} address add 192.0.2.50/24 dev uplink",
            f"-n {netns} address add 192.0.2.51/24 dev uplink",
            f"-n {netns} route add 10.244.1.0/24 via 192.0.2.1 proto 71",
            f"-n {netns} route add 10.244.2.0/24 via 192.0.2.1",
        )
        shown = run(netns, "sh", "-c", LinkAddresses().command())
        assert {"uplink": ["192.0.2.50/24", "192.0.2.51/24"]} == LinkAddresses().process(
            shown.splitlines()
        )
        shown = run(netns, "sh", "-c", Routes().command(protocol=71))
        assert {"10.244.1.0/24": "192.0.2.1"} == Routes().process(shown.splitlines())


def test_files_of_networkd_are_those_of_the_owner_and_those_in_use(tmp_path: Path) -> None:
    for name, text in {
        "etc/systemd/network/10-eth0.network": "[Match]\n",
        "etc/systemd/network/05-br0.netdev": "[NetDev]\n",
        "run/systemd/network/10-netplan-eth1.network": "[Match]\n",
        "run/systemd/netif/links/2": "ADMIN_STATE=x\nNETWORK_FILE=/etc/systemd/network/10-eth0.network\n",
        "run/systemd/netif/links/3": "NETWORK_FILE=/usr/lib/systemd/network/80-container-host0.network\n",
        "run/systemd/netif/links/4": "ADMIN_STATE=unmanaged\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "etc/systemd/network/80-wifi.network").symlink_to("/dev/null")
    command = NetworkFiles().command()
    for directory in ("/etc/", "/run/"):
        command = command.replace(directory, f"{tmp_path}{directory}")
    output = [line.replace(str(tmp_path), "") for line in shell(command)]
    assert [
        "/etc/systemd/network/10-eth0.network",
        "/run/systemd/network/10-netplan-eth1.network",
        "/usr/lib/systemd/network/80-container-host0.network",
    ] == NetworkFiles().process(output)
