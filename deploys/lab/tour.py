"""Demonstration of the lab: its services, and real requests to them."""

import subprocess
import sys
from dataclasses import dataclass

from groundplane.deploy_api import compiled
from groundplane.deploy_api import main as groundplane
from groundplane_deploys.catalog import compiled_site, read_source, source_directory
from groundplane_deploys.lab.command import LabError
from groundplane_deploys.lab.model import Lab
from groundplane_deploys.lab.namespace import entered
from groundplane_deploys.lab.site import has_example_servers
from groundplane_deploys.lab.ssh import ssh_config


@dataclass(frozen=True)
class Request:
    """A request for *url* from a node, or from its workload *netns*."""

    node: str
    netns: str
    url: str

    @property
    def command(self) -> str:
        inside = f"ip netns exec {self.netns} " if self.netns else ""
        return f"{inside}curl -sS -g -m 5 {self.url}"


def tour(lab: Lab) -> None:
    """Print every service with its endpoints, then the responses to a few requests."""
    source = str(source_directory())
    for words in (["get", "services", "-A", source], ["get", "endpoints", "-A", source]):
        print(f"\n$ groundplane {' '.join(words)}", flush=True)
        try:
            groundplane(words)
        except SystemExit as end:
            if end.code:
                raise LabError(f"groundplane {' '.join(words)}: exit status {end.code}") from None
    if not has_example_servers(read_source()):
        print(
            "\nThe workloads are yours to start (examples/lab/workloads.py is one way); then: make verify"
        )
        return
    failed = 0
    with entered(lab):
        for request in requests(compiled_site()):
            print(f"\n{request.node}$ {request.command}", flush=True)
            done = subprocess.run(
                ["ssh", "-F", str(ssh_config(lab)), request.node, request.command],
                check=False,
                stdout=sys.stdout,
                stderr=sys.stdout,
            )
            failed += done.returncode != 0
    if failed:
        raise LabError(f"{failed} of the requests above failed")


def requests(site: compiled.Site) -> list[Request]:
    """Return a few requests for the first service with endpoints: by name and by address."""
    for service in site.services:
        if not (service.cluster_ips and service.endpoints and service.ports[0].protocol == "TCP"):
            continue
        port = service.ports[0].port
        name = f"{service.name}.{service.namespace}.svc.{site.domain}"
        addresses = [f"[{ip}]" if ":" in ip else ip for ip in service.cluster_ips]
        by_workload = [
            Request(each.node, f"{each.namespace}-{each.name}", f"http://{name}:{port}/")
            for each in site.workloads
        ]
        by_node = [
            Request(n.name, "", f"http://{ip}:{port}/") for n in site.nodes for ip in addresses
        ]
        return list({each.node: each for each in by_workload}.values()) + by_node
    return []
