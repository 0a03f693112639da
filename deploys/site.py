"""The whole site: `pyinfra inventories/site.py deploys/site.py`, and once more for no change.

Hypervisors and what they carry come first. VMs that this run makes are not among its hosts yet:
pyinfra connects to all before it begins. They are reached by the next run, or by `make site`, which
takes the hypervisors first and then the nodes.
"""

from pyinfra import host

from groundplane_deploys.machine import node
from groundplane_deploys.virtualization import hypervisor, vms

if host.data.get("hypervisor_name"):
    hypervisor()
    vms()
if host.data.get("node_name"):
    node()
