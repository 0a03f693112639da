"""A host that is not a node gets the addresses of services that come to it as they are, and loses them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.compile.pipeline import compile_source
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab import (
    Lab,
    LabNode,
    client_key,
    down,
    entered,
    known_hosts,
    ssh_config,
    up,
)
from tests.sites import CLUSTER

pytestmark = pytest.mark.nodes

CLIENT = LabNode("client", ("192.168.62.11/24", "fd62::11/64"))
HOST = LabNode("host", ("192.168.62.12/24", "fd62::12/64"))
LAB = Lab(
    prefix="gp-backend",
    gateway=("192.168.62.1/24", "fd62::1/64"),
    nodes=(CLIENT, HOST),
    state=Path("/var/lib/groundplane-gp-backend"),
)
SITE = (
    CLUSTER
    + """\
  proxyMode: ipvs
  endpoints: {outsideCIDRs: [192.168.62.0/24, "fd62::/64"]}
---
apiVersion: groundplane/v1
kind: Node
metadata: {name: n1}
spec: {addresses: [192.168.62.11, "fd62::11"]}
---
apiVersion: v1
kind: Service
metadata: {name: db, annotations: {groundplane/ipvs-forwarding: direct}}
spec: {ipFamilyPolicy: RequireDualStack, ports: [{port: 5432}]}
"""
)
SLICE = """\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: db-{name}, labels: {{kubernetes.io/service-name: db}}}}
addressType: {family}
ports: [{{port: 5432}}]
endpoints: [{{addresses: ["{address}"]}}]
"""
SERVER = """\
import socket
with socket.create_server(("::", 5432), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    while True:
        server.accept()[0].close()
"""


@pytest.fixture(scope="module", autouse=True)
def lab() -> Iterator[None]:
    try:
        up(LAB)
        yield
    finally:
        down(LAB)


def on(machine: LabNode, command: str, check: bool = True) -> str:
    with entered(LAB):
        done = subprocess.run(
            ["ssh", "-n", "-F", str(ssh_config(LAB)), machine.name, command],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def written(source: Path, *families: str) -> Path:
    """Have a catalog whose service has the host for an endpoint in those families."""
    source.mkdir(exist_ok=True)
    addresses = dict(zip(("IPv4", "IPv6"), HOST.hosts, strict=True))
    slices = (
        SLICE.format(name=each.lower(), family=each, address=addresses[each]) for each in families
    )
    (source / "site.yaml").write_text(SITE + "".join(slices))
    return source


def allocated(source: Path) -> tuple[str, ...]:
    """Have the catalog's lock, and return the addresses of its service."""
    program = str(Path(sys.executable).with_name("groundplane"))
    done = subprocess.run([program, "allocate", str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    services = {each.name: each.cluster_ips for each in compile_source(source).services}
    return services["db"]


def deploy(source: Path, machine: LabNode) -> subprocess.CompletedProcess[str]:
    """Run the deploy as docs/catalog.md says."""
    data = {"ssh_key": client_key(LAB), "ssh_known_hosts_file": known_hosts(LAB)}
    settings = [each for key, value in data.items() for each in ("--data", f"{key}={value}")]
    program = str(Path(sys.executable).with_name("pyinfra"))
    command = [program, "-y", "--json", "--user", "root", *settings]
    with entered(LAB):
        return subprocess.run(
            [*command, machine.hosts[0], "deploys/backend.py"],
            cwd=ROOT,
            env=os.environ | {"GROUNDPLANE_SOURCE": str(source)},
            capture_output=True,
            text=True,
            timeout=300,
        )


def changed(source: Path) -> list[str]:
    done = deploy(source, HOST)
    assert done.returncode == 0, done.stdout + done.stderr
    operations = json.loads(done.stdout)["results"]["operations"]
    return [each["name"].rpartition(" | ")[2] for each in operations if each["success"]]


def answering() -> list[str]:
    shown = on(HOST, "ip -br address show dev groundplane2 scope global", check=False)
    return sorted(re.findall(r"(\S+)/(?:32|128)\b", shown))


def test_the_host_answers_by_what_is_sent_on_to_it(tmp_path: Path) -> None:
    source = written(tmp_path / "site", "IPv4", "IPv6")
    addresses = allocated(source)
    assert [] != changed(source)
    assert sorted(addresses) == answering()
    assert "1\n2\n" == on(HOST, "cat /proc/sys/net/ipv4/conf/all/arp_{ignore,announce}")
    site = compile_source(source)
    assert {*site.nodes[0].subnets} == {
        line.split()[0]
        for family in (4, 6)
        for line in on(HOST, f"ip -{family} route show proto 71").splitlines()
    }
    assert [] == changed(source)

    # As IPVS does on a node: the packet as it is, in a frame to the host.
    on(HOST, f"systemd-run --quiet --unit=answering python3 -c '{SERVER}'")
    for address, via in zip(addresses, HOST.hosts, strict=True):
        on(CLIENT, f"ip route add {address} via {via}")
        connect = (
            f"timeout 20 sh -c 'until (: </dev/tcp/{address}/5432) 2>/dev/null; do sleep .1; done'"
        )
        on(CLIENT, connect.replace("sh -c", "bash -c"))
    # Nobody who asks the link for it is told, though.
    on(CLIENT, f"ip route replace {addresses[0]} dev host0 && ip neigh flush all")
    assert "" == on(
        CLIENT, f"timeout 3 bash -c ': </dev/tcp/{addresses[0]}/5432' && echo open", check=False
    )

    # What somebody takes away is back with the next deploy, and all of it after a boot.
    on(HOST, f"ip address delete {addresses[0]}/32 dev groundplane2")
    assert ["The host answers by the services' addresses"] == changed(source)
    on(HOST, "ip link delete groundplane2 && systemctl stop groundplane-backend")
    on(HOST, "systemctl is-enabled groundplane-backend && systemctl start groundplane-backend")
    assert sorted(addresses) == answering()

    # An endpoint no more.
    assert [] != changed(written(source))
    assert [] == changed(source)
    assert [] == answering()
    traces = (
        "ls /etc/systemd/system /etc/sysctl.d /etc/groundplane; ip route show proto 71; ip link"
    )
    assert "groundplane-backend" not in on(HOST, traces, check=False)
    assert "groundplane2" not in on(HOST, traces, check=False)


def test_a_node_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "site", "IPv4", "IPv6")
    allocated(source)
    done = deploy(source, CLIENT)
    assert done.returncode == 1
    assert "it is Node/n1: deploys/node.py is for it" in done.stdout + done.stderr
    assert "groundplane2" not in on(CLIENT, "ip link")
