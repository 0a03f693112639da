"""Workloads that IPVS reaches through tunnels, and the service addresses they serve."""

from pyinfra import host
from pyinfra.api import deploy

from groundplane.deploy_api import dsr_addresses
from groundplane_deploys.catalog import compiled_site, node_state
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.operations import tunnels


@deploy("Workloads", data_defaults=DEFAULTS)
def workloads() -> None:
    """Add to running workloads the addresses that reach them through tunnels."""
    site = compiled_site()
    base = node_state(host.data.node_name).base
    tunnels.answered(
        name="Workloads answer by the addresses that come to them in tunnels",
        wanted={
            each.instance: list(dsr_addresses(site, "tunnel", each.addresses))
            for each in base.workloads
        },
    )
