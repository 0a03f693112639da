"""A lab of network namespaces alone: the dataplane and its agents, without systemd, ssh or BIND.

    python -m groundplane_deploys.lab.bare up|tour|down

It is up in seconds, needs no base tree, and has the site of $GROUNDPLANE_SOURCE, or the example's.
A node is a namespace with the links that a deploy would make, and an agent; a workload is another,
with the example's server where the catalog is the example's.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from groundplane.deploy_api import (
    BRIDGE,
    OVERLAY,
    PORT,
    GroundplaneError,
    LocalWorkload,
    NodeBase,
    compiled,
    entry_of,
    family_of,
    own_command,
)
from groundplane_deploys.catalog import (
    ROOT,
    compiled_site,
    node_state,
    read_source,
    source_directory,
)
from groundplane_deploys.lab.command import LabError, run, say
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.mounts import remove_tree
from groundplane_deploys.lab.network import (
    ensure_lab_network,
    inside,
    namespace_path,
    node_namespace,
    plug_node,
    remove_lab_network,
    unplug_node,
)
from groundplane_deploys.lab.preflight import require_root
from groundplane_deploys.lab.services import Services, services
from groundplane_deploys.lab.site import has_example_servers, lab_of
from groundplane_deploys.lab.tour import Request, requests

PREFIX = "gp-netns"
SERVER = ROOT / "examples" / "lab" / "workload.py"
_READY_S = 30.0
_SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
    "net.netfilter.nf_conntrack_tcp_be_liberal=1",
)


def links(base: NodeBase, addresses: Sequence[str], gateways: Sequence[str]) -> Iterator[str]:
    """Yield the lines for ip(8) that give a node its links; *addresses* have prefix lengths."""
    yield "link set lo up"
    yield "link set host0 up"
    for address in addresses:
        yield f"address add {address} dev host0{_at_once(address)}"
    for gateway in gateways:
        if family_of(gateway) in base.families:
            yield f"route add default via {gateway}"
    yield f"link add {BRIDGE} address {base.bridge_mac} mtu {base.mtu} type bridge forward_delay 0"
    yield f"link set {BRIDGE} up"
    for address, subnet in zip(base.bridge_addresses, base.subnets, strict=True):
        length = subnet.partition("/")[2]
        yield f"address add {address}/{length} dev {BRIDGE}{_at_once(address)}"
    if base.overlay:
        port = base.overlay.port
        yield f"link add {OVERLAY} mtu {base.mtu} type vxlan external gpe dstport {port}"
        yield f"link set {OVERLAY} up"
        for address in base.bridge_addresses:
            yield f"address add {_whole(address)} dev {OVERLAY}{_at_once(address)}"


def connection(base: NodeBase, workload: LocalWorkload, namespace: str) -> Iterator[str]:
    """Yield the lines for ip(8) on a node that connect *workload* in *namespace*."""
    end = f"peer name eth0 mtu {base.mtu} netns {namespace}"
    yield f"link add {workload.interface} mtu {base.mtu} type veth {end}"
    yield f"link set {workload.interface} master {BRIDGE} up"
    yield f"link set {workload.interface} type bridge_slave {' '.join(PORT)}"


def settings(base: NodeBase, workload: LocalWorkload) -> Iterator[str]:
    """Yield the lines for ip(8) in the namespace of *workload*."""
    gateways = {family_of(text): text for text in base.bridge_addresses}
    yield "link set lo up"
    yield f"link set eth0 address {workload.mac} up"
    for address in workload.addresses:
        yield f"address add {_whole(address)} dev eth0{_at_once(address)}"
        yield f"route add default via {gateways[family_of(address)]} dev eth0 onlink"


def _whole(address: str) -> str:
    return f"{address}/{32 if family_of(address) == 'IPv4' else 128}"


def _at_once(address: str) -> str:
    return " nodad" if ":" in address else ""


def bare_lab() -> Lab:
    """Return the lab of the site, with its own prefix."""
    state = Path(f"/var/lib/groundplane-{PREFIX}")
    return replace(lab_of(read_source()), prefix=PREFIX, state=state, clone=None)


def up() -> None:
    """Rebuild the lab, and return when every agent reports that it is in sync."""
    require_root()
    if any(node.spec.wireguard for node in read_source().nodes.values()):
        raise LabError("WireGuard's links are networkd's: use the lab of nodes for this site")
    began = time.monotonic()
    down()
    lab, site, keeper = bare_lab(), compiled_site(), services(PREFIX)
    ensure_lab_network(lab)
    for node in lab.nodes:
        _build(lab, node.addresses, node_state(node.name).base, keeper)
    for workload in read_source().workloads.values():
        if workload.spec.host_network and has_example_servers(read_source()):
            ports = [f"{port.protocol}:{port.port}" for port in workload.spec.ports]
            hosts = read_source().nodes[workload.spec.node].spec.addresses
            name = f"{workload.metadata.namespace}-{workload.metadata.name}"
            namespace = node_namespace(PREFIX, workload.spec.node)
            _serve(keeper, lab, namespace, name, [*ports, *hosts])
    _wait(site)
    say(f"{PREFIX}: up in {time.monotonic() - began:.1f} s; ip netns exec {PREFIX}-NODE bash")


def _build(lab: Lab, addresses: Sequence[str], base: NodeBase, keeper: Services) -> None:
    namespace = node_namespace(PREFIX, base.name)
    plug_node(PREFIX, base.name)
    run(inside(namespace, ["sysctl", "--quiet", "--write", *_SYSCTLS]))
    _batch(namespace, links(base, addresses, lab.gateway_hosts))
    ports = {
        (w.metadata.namespace, w.metadata.name): [f"{p.protocol}:{p.port}" for p in w.spec.ports]
        for w in read_source().workloads.values()
    }
    for workload in base.workloads:
        own = f"{PREFIX}-w-{workload.instance}"
        run(["ip", "netns", "add", own])
        _batch(namespace, connection(base, workload, own))
        run(inside(namespace, [*entry_of(workload)]))
        _batch(own, settings(base, workload))
        if has_example_servers(read_source()):
            _serve(keeper, lab, own, workload.instance, ports[workload.namespace, workload.name])
    state = lab.state / base.name
    state.mkdir(parents=True)
    agent = [
        *own_command("agent", "run", "--node", base.name),
        *("--without-dns", "--source", str(source_directory())),
        *("--state-directory", str(state), "--runtime-directory", str(state)),
    ]
    keeper.start(f"agent-{base.name}", inside(namespace, agent), lab.log(base.name))


def _serve(keeper: Services, lab: Lab, namespace: str, name: str, words: list[str]) -> None:
    lab.log(name).parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-P", str(SERVER), name.partition("-")[2], *words]
    keeper.start(f"w-{name}", inside(namespace, argv), lab.log(name))


def _wait(site: compiled.Site) -> None:
    lab, until = bare_lab(), time.monotonic() + _READY_S
    for node in site.nodes:
        while not _is_well(lab, node.name):
            if time.monotonic() > until:
                raise LabError(f"{node.name}: its agent is not well; see {lab.log(node.name)}")
            time.sleep(0.1)


def _is_well(lab: Lab, node: str) -> bool:
    asked = ["agent", "status", "--runtime-directory", str(lab.state / node)]
    command = own_command(*asked)
    return subprocess.run(command, check=False, capture_output=True, cwd=ROOT).returncode == 0


def down() -> None:
    """Remove every trace of it."""
    require_root()
    keeper, state = services(PREFIX), Path(f"/var/lib/groundplane-{PREFIX}")
    keeper.stop(keeper.names())
    for path in namespace_path(PREFIX).parent.glob(f"{PREFIX}-*"):
        if path.name.startswith(f"{PREFIX}-w-"):
            run(["ip", "netns", "delete", path.name])
        else:
            unplug_node(PREFIX, path.name.removeprefix(f"{PREFIX}-"))
    keeper.close()
    remove_lab_network(PREFIX)
    if state.is_dir():
        remove_tree(state)


def tour() -> None:
    """Make a few requests by address: this lab has no name server."""
    failed = 0
    for request in requests(compiled_site()) if has_example_servers(read_source()) else ():
        url = request.url if "svc" not in request.url else _by_address(request)
        place = f"w-{request.netns}" if request.netns else request.node
        print(f"\n{place}$ curl {url}", flush=True)
        argv = ["curl", "-sS", "-g", "-m", "5", url]
        done = subprocess.run(inside(f"{PREFIX}-{place}", argv), check=False, stderr=sys.stdout)
        failed += done.returncode != 0
    if failed:
        raise LabError(f"{failed} of the requests above failed")


def _by_address(request: Request) -> str:
    name = request.url.removeprefix("http://").split(":")[0]
    for service in compiled_site().services:
        if name.startswith(f"{service.name}.{service.namespace}."):
            address = service.cluster_ips[0]
            host = f"[{address}]" if ":" in address else address
            return request.url.replace(name, host)
    raise LabError(f"no service has the name {name}")


def _batch(namespace: str, lines: Iterator[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    run(["ip", "-n", namespace, "-batch", "-"], stdin=text)


def main(argv: Sequence[str]) -> int:
    """Exit 0 when done, 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m groundplane_deploys.lab.bare", description=__doc__
    )
    parser.add_argument("verb", choices=("up", "tour", "down"))
    try:
        {"up": up, "tour": tour, "down": down}[parser.parse_args(argv).verb]()
    except (GroundplaneError, LabError) as error:
        for line in str(error).splitlines():
            print(f"lab: {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
