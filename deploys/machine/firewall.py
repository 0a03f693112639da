"""Openings in the firewall that a node's owner runs: firewalld or ufw. Others are left alone."""

from pyinfra import host
from pyinfra.api import deploy

from deploys.catalog import compiled_site, node_state
from deploys.firewall import openings
from deploys.machine.defaults import DEFAULTS
from deploys.operations.firewall import opened


@deploy("Firewall", data_defaults={**DEFAULTS, "open_firewall": True})
def firewall() -> None:
    """Let services through firewalld and ufw; with `open_firewall = False` that is the owner's job."""
    if host.data.open_firewall:
        wanted = openings(compiled_site(), node_state(host.data.node_name).base)
        opened(name="Services pass the firewall", wanted=wanted)
