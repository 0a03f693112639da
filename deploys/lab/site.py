"""The lab of a catalog: one machine for each Node document."""

import os
from dataclasses import replace
from pathlib import Path

from groundplane.deploy_api import Catalog, Hypervisor, Node, family_of
from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab.model import Lab, LabNode

SERVERS = "lab/servers"  # "example" on a Cluster: its workloads are the example's servers
DEBIAN = "lab/debian"  # label: the Debian release of a lab node, 12 or 13
_LENGTHS = {"IPv4": 24, "IPv6": 64}


def own_lab() -> Lab:
    """Return the lab without nodes; $GROUNDPLANE_LAB is its prefix, so that two can run at once.

    The clone of the default lab is easy to find: lab/site in the checkout.
    """
    prefix = os.environ.get("GROUNDPLANE_LAB", Lab.prefix)
    clone = ROOT / "lab" / "site" if prefix == Lab.prefix else None
    return Lab(prefix=prefix, state=Path(f"/var/lib/groundplane-{prefix}"), clone=clone)


def lab_of(catalog: Catalog) -> Lab:
    """Return the lab with a machine for each Hypervisor and each bare Node of *catalog*."""
    carriers = [
        LabNode(
            hypervisor.name,
            tuple(f"{address}/{_LENGTHS[family_of(address)]}" for address in _own(hypervisor)),
            "hypervisor",
        )
        for hypervisor in catalog.hypervisors.values()
    ]
    bare = [_machine(node) for node in catalog.nodes.values() if node.spec.vm is None]
    guests = [_machine(node) for node in catalog.nodes.values() if node.spec.vm is not None]
    return replace(own_lab(), nodes=(*carriers, *bare), guests=tuple(guests))


def has_example_servers(catalog: Catalog) -> bool:
    """Return whether the lab runs the example's servers as workloads of *catalog*.

    The owner starts the workloads of any other catalog.
    """
    return catalog.cluster.metadata.labels.get(SERVERS) == "example"


def _machine(node: Node) -> LabNode:
    addresses = tuple(f"{text}/{_LENGTHS[family_of(text)]}" for text in node.spec.addresses)
    thirteen = node.metadata.labels.get(DEBIAN) == "13"
    return LabNode(node.name, addresses, "node-13" if thirteen else "node")


def _own(hypervisor: Hypervisor) -> tuple[str, ...]:
    """Return the addresses of a hypervisor on its bridges, or else its management address."""
    found = tuple(each for network in hypervisor.spec.networks for each in network.addresses)
    return found or (hypervisor.spec.management.host or "",)
