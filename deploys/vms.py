"""The VMs of a site: `pyinfra inventories/site.py deploys/vms.py`, once their hypervisors are."""

from pyinfra import host

from groundplane_deploys.virtualization import vms

# Other hosts of the inventory do not run VMs.
if host.data.get("hypervisor_name"):
    vms()
