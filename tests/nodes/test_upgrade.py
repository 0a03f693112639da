"""Nodes upgraded one at a time, taken out of the site, and put back."""

import re
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane.project import project
from groundplane_deploys.catalog import ROOT
from tests.before.ruleset import one_table
from tests.nodes.conftest import EVERY_WEB, WEB, Deployed
from tests.nodes.traffic import cluster_ip, standing

pytestmark = pytest.mark.nodes


def pyinfra(site: Deployed, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "-y", *arguments],
        cwd=ROOT,
        env=site.environment,
        text=True,
        capture_output=True,
        timeout=600,
    )


SERVICES = {"ip groundplane-services", "ip6 groundplane-services"}
TABLES = {"ip groundplane", "ip6 groundplane", "bridge groundplane", *SERVICES}


def tables(site: Deployed, node: str) -> set[str]:
    """Return our tables on *node*."""
    listed = site.on(node, "nft list tables").splitlines()
    return {line.removeprefix("table ") for line in listed if "groundplane" in line}


def connect_until(ended: threading.Event, site: Deployed, node: str) -> Counter[str]:
    """Return who answered connections from *node* until *ended*, and the errors of others."""
    counts = Counter[str]()
    while not ended.is_set():
        counts.update(site.connect(node, "", cluster_ip(site), 80, count=60))
    return counts


INSIDE = "ip netns exec default-web-1"
PING = f"{INSIDE} ping -c 1 -W 2 $({INSIDE} ip route show default | cut -d ' ' -f 3)"
UPGRADE = ("--data", "upgrade_packages=", "inventories/lab.py", "deploys/upgrade.py")


def drained(name: str, text: str) -> str:
    """Return Node documents of which that of *name* drains."""
    number = {"n1": 1, "n3": 3}[name]
    addresses = f'  addresses: [192.168.50.1{number}, "fd50::1{number}"]\n'
    assert addresses in text
    return text.replace(addresses, f"{addresses}  state: drain\n")


def test_nodes_are_not_upgraded_all_at_once(site: Deployed) -> None:
    done = pyinfra(site, *UPGRADE)
    assert 0 != done.returncode
    assert "nodes are upgraded one at a time: run pyinfra with --serial" in done.stderr


def test_an_upgrade_of_all_nodes_leaves_them_well(site: Deployed) -> None:
    """A workload that an earlier version connected is connected as the new one does it."""
    site.on(
        "n1",
        f"set -- $(bridge fdb show br groundplane0 | grep $({INSIDE} cat /sys/class/net/eth0/address))"
        " && bridge fdb del $1 dev $3 master"
        " && ip -n default-web-1 link set eth0 address 02:00:00:00:00:99",
    )
    assert "0 received" in site.on("n1", PING, check=False)
    done = pyinfra(site, "--serial", *UPGRADE)
    assert 0 == done.returncode, done.stderr
    assert all(site.status(node.name)["healthy"] for node in site.lab.nodes)
    assert "1 received" in site.on("n1", PING)


def test_the_one_table_of_the_version_before_becomes_two_under_traffic(site: Deployed) -> None:
    """Connections that stand stay, and none that begins meanwhile is lost."""
    compiled = compile_source(site.source)
    names = [node.name for node in site.lab.nodes]
    with (
        standing(site, *((name, "") for name in names), ("n1", "default-web-1")),
        ThreadPoolExecutor() as pool,
    ):
        for name in names:
            before = one_table(project(compiled, name, frozenset()))
            site.on(name, "systemctl stop groundplane-agent && nft -f -", stdin=before)
            assert TABLES - SERVICES == tables(site, name)
        ended = threading.Event()
        asked = [pool.submit(connect_until, ended, site, name) for name in names]
        try:
            done = pyinfra(site, "--serial", *UPGRADE)
        finally:
            ended.set()
        assert 0 == done.returncode, done.stderr
        answered = [each.result() for each in asked]
    assert [TABLES] * len(names) == [tables(site, name) for name in names]
    assert [EVERY_WEB] * len(names) == [set(each) for each in answered]


def test_no_node_is_touched_after_one_that_failed(site: Deployed) -> None:
    """pyinfra itself goes on with the next host (pyinfra#1195)."""
    names = [node.name for node in site.lab.nodes]
    for name in names:  # in which order pyinfra takes them is its own affair
        site.on(name, "systemctl mask --runtime --now named")
    try:
        done = pyinfra(site, "--serial", *UPGRADE)
        assert 0 != done.returncode
        told = re.findall(r"\[(n\d)\] [^\n]*OperationError\('not begun, since", done.stderr)
        assert 2 == len(set(told)), done.stderr
    finally:
        for name in names:
            site.on(name, "systemctl unmask --runtime named; systemctl start named")
        site.wait(lambda: all(site.status(n)["healthy"] for n in names), 30, "all are well")


def test_a_node_that_serves_does_not_boot(site: Deployed) -> None:
    done = pyinfra(site, "--limit", "n1", "--data", "reboot=true", *UPGRADE)
    assert 0 != done.returncode
    assert "set its spec.state to drain first" in done.stderr


def test_a_drained_node_boots_and_comes_back(site: Deployed) -> None:
    try:
        site.push_and_wait("nodes.yaml", lambda text: drained("n1", text))
        assert {"web-2", "web-3"} == set(site.connect("n2", "", WEB, 80, count=60))
        boot = site.on("n1", "cut -d ' ' -f 22 /proc/1/stat")
        done = pyinfra(site, "--limit", "n1", "--data", "reboot=true", *UPGRADE)
        assert 0 == done.returncode, done.stderr
        assert boot != site.on("n1", "cut -d ' ' -f 22 /proc/1/stat")
    finally:
        site.restore()
    site.wait(
        lambda: EVERY_WEB == set(site.connect("n2", "", WEB, 80, count=60)), 30, "n1 serves again"
    )


def test_a_node_goes_without_a_trace_and_comes_back(site: Deployed) -> None:
    remove = ("--limit", "n3", "inventories/lab.py", "deploys/remove.py")
    refused = pyinfra(site, *remove)
    assert 0 != refused.returncode
    assert "n3 has spec.state active: set it to drain" in refused.stderr
    try:
        site.push_and_wait("nodes.yaml", lambda text: drained("n3", text))
        done = pyinfra(site, *remove)
        assert 0 == done.returncode, done.stderr
        left = site.on(
            "n3",
            "ls /sys/class/net; nft list tables; ip route show proto 71; ip netns list;"
            "find /etc /opt /var/lib /usr/local /run -iname '*groundplane*';"
            "getent passwd groundplane; grep 127.0.0.1 /etc/resolv.conf;"
            "ls -d /etc/netns /etc/dnssec-trust-anchors.d /etc/systemd/resolved.conf.d "
            "/etc/systemd/system/named.service.d; true",
        )
        assert ["host0", "lo"] == left.split()
        assert {"web-1", "web-2"} == set(site.connect("n2", "", WEB, 80, count=60))
        again = pyinfra(site, *remove)
        assert 0 == again.returncode, again.stderr
        assert "No changes" in again.stderr
    finally:
        first = site.git("rev-list", "--max-parents=0", "HEAD")
        site.git("read-tree", "--reset", "-u", first)
        site.git("commit", "--quiet", "--allow-empty", "--message=as it was")
        site.git("push", "--quiet")
        site.deploy("deploys/site.py", "examples/lab/workloads.py")
        site.restore()
    assert EVERY_WEB == set(site.connect("n3", "", WEB, 80, count=60))
