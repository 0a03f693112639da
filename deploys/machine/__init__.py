"""What a node has to be, VM or bare: one module for each concern, in the order of `node`."""

from deploys.machine.agent import agent
from deploys.machine.firewall import firewall
from deploys.machine.fitness import is_fit
from deploys.machine.links import links
from deploys.machine.name_server import name_server
from deploys.machine.system import system
from deploys.machine.uplink import uplink
from deploys.machine.workloads import workloads

__all__ = ["agent", "firewall", "links", "name_server", "node", "system", "uplink", "workloads"]


def node() -> None:
    """Make the host the node of its name, if it can be one."""
    if not is_fit():
        return
    uplink()
    system()
    links()
    name_server()
    firewall()
    agent()
    workloads()
