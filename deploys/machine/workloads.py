"""Workloads that IPVS reaches in tunnels: what services' addresses they answer by."""

from pyinfra import host
from pyinfra.api import deploy

from groundplane.deploy_api import dsr_addresses
from groundplane_deploys.catalog import compiled_site, node_state
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.operations import tunnels


@deploy("Workloads", data_defaults=DEFAULTS)
def workloads() -> None:
    """Have the workloads that run answer by the addresses that come to them in tunnels."""
    site = compiled_site()
    base = node_state(host.data.node_name).base
    tunnels.answered(
        name="Workloads answer by the addresses that come to them in tunnels",
        wanted={
            each.instance: list(dsr_addresses(site, "tunnel", each.addresses))
            for each in base.workloads
        },
    )
