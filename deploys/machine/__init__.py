"""The desired state of a node, VM or bare: one module per concern, in the order of `node`."""

from groundplane_deploys.machine.agent import agent
from groundplane_deploys.machine.firewall import firewall
from groundplane_deploys.machine.fitness import is_fit
from groundplane_deploys.machine.links import links
from groundplane_deploys.machine.name_server import name_server
from groundplane_deploys.machine.system import system
from groundplane_deploys.machine.uplink import uplink
from groundplane_deploys.machine.workloads import workloads

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
