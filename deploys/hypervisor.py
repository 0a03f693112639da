"""The hypervisors of a site: `pyinfra inventories/site.py deploys/hypervisor.py`."""

from pyinfra import host

from groundplane_deploys.virtualization import hypervisor

# Other hosts of the inventory do not run VMs.
if host.data.get("hypervisor_name"):
    hypervisor()
