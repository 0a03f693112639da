"""Openings in the firewall that a node's owner runs: firewalld or ufw. Others are left alone."""

from pyinfra import host
from pyinfra.api import deploy

from groundplane_deploys.catalog import compiled_site, node_state
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.operations.firewall import opened
from groundplane_deploys.plan.firewall import openings


@deploy("Firewall", data_defaults={**DEFAULTS, "open_firewall": True})
def firewall() -> None:
    """Let services pass firewalld and ufw; with `open_firewall = False`, the owner must do so."""
    if host.data.open_firewall:
        wanted = openings(compiled_site(), node_state(host.data.node_name).base)
        opened(name="Services pass the firewall", wanted=wanted)
