"""cloud-init does not write again what a bridge has taken over."""

from dataclasses import replace

import pytest

from groundplane_deploys.plan.bridging.cloud_init import PATH, files, is_written_by_it
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.found import Link, Managers
from groundplane_deploys.plan.bridging.plan import plan
from groundplane_deploys.plan.bridging.wanted import Bridge

DEFINING = {"/etc/netplan/50-cloud-init.yaml": "network: {}\n"}
BASE = {"/etc/cloud/cloud.cfg": "# no network here\nusers: [default]\n"}
DISABLED = "network: {config: disabled}\n"
OTHER = "network: {version: 1, config: [{type: physical, name: eno1}]}\n"
HEADER = """\
# This file is generated from information provided by the datasource.  Changes
# to it will not persist across an instance reboot.
network: {}
"""


def test_cloud_init_that_wrote_a_file_of_ours_is_kept_from_the_network() -> None:
    (text,) = files(DEFINING, BASE, runs=True).values()
    assert text.endswith("\nnetwork: {config: disabled}\n")
    assert text.startswith("#")


@pytest.mark.parametrize(
    ("defining", "configuration", "runs"),
    [
        ({}, BASE, True),
        ({"/etc/netplan/01-netcfg.yaml": "network: {}\n"}, BASE, True),
        (DEFINING, BASE, False),
        (DEFINING, BASE | {"/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg": DISABLED}, True),
        (DEFINING, {"/etc/cloud/cloud.cfg": DISABLED}, True),
        (DEFINING, {"/etc/cloud/cloud.cfg.d/2.cfg": DISABLED, "/etc/cloud/cloud.cfg": OTHER}, True),
    ],
)
def test_it_is_left_alone_where_it_writes_nothing_of_ours(
    defining: dict[str, str], configuration: dict[str, str], runs: bool
) -> None:
    assert {} == files(defining, configuration, runs=runs)


def test_our_file_counts_for_more_than_that_of_an_installer() -> None:
    there = {"/etc/cloud/cloud.cfg.d/90-installer-network.cfg": OTHER}
    assert {PATH} == files(DEFINING, there, runs=True).keys()


def test_a_file_that_counts_for_more_than_ours_is_named() -> None:
    there = {"/etc/cloud/cloud.cfg.d/99-our-network.cfg": OTHER}
    with pytest.raises(BridgeError, match=r"^/etc/cloud/cloud\.cfg\.d/99-our-network\.cfg gives"):
        files(DEFINING, there, runs=True)


def test_its_files_are_known_by_their_name_or_their_comment() -> None:
    assert is_written_by_it("/etc/netplan/50-cloud-init.yaml", "")
    assert is_written_by_it("/etc/network/interfaces.d/50-cloud-init", "")
    assert is_written_by_it("/etc/netplan/10-renamed.yaml", HEADER)
    assert not is_written_by_it("/etc/netplan/10-own.yaml", "# cloud-init is off\nnetwork: {}\n")


LAN = Bridge("br0", 1500, False, "eno1", None, ("192.0.2.10/24",))
LINKS = {"eno1": Link("eno1", "02:00:00:00:00:01", 1500, "", "", frozenset())}
NETPLAN = Managers(
    {}, True, False, {"/etc/netplan/50-cloud-init.yaml": "network: {ethernets: {eno1: {}}}\n"}, {},
    cloud_init_runs=True,
)  # fmt: skip
IFUPDOWN = Managers(
    {}, False, False, {},
    {"/etc/network/interfaces.d/50-cloud-init": "auto eno1\niface eno1 inet dhcp\n"},
    cloud_init_runs=True,
)  # fmt: skip


@pytest.mark.parametrize("found", [NETPLAN, IFUPDOWN])
def test_it_is_part_of_the_change_and_goes_with_the_bridge(found: Managers) -> None:
    change = plan((LAN,), LINKS, found, [])
    text = change.files[PATH]
    assert text
    assert change.members()[f"new{PATH}"] == text

    there = replace(found, cloud_config={PATH: text})
    assert plan((LAN,), LINKS, there, []).files[PATH] == text
    tagged = replace(LAN, vlan=42)
    for left in ((), (tagged,)):
        gone = plan(left, LINKS, there, [])
        assert gone.files[PATH] is None
        assert PATH in gone.members()["files"]


def test_networkd_takes_our_files_first_whatever_cloud_init_writes() -> None:
    found = replace(NETPLAN, netplan={})
    assert PATH not in plan((LAN,), LINKS, found, []).files
