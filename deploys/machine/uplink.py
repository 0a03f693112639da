"""A bare node's own link, if the catalog declares it: changed in stages, or not at all."""

from pyinfra import host
from pyinfra.api import deploy

from groundplane_deploys.catalog import read_source
from groundplane_deploys.facts.bridging import LinkManagers, Links
from groundplane_deploys.facts.files import DirectoryDigests
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.operations import bridging, refusal
from groundplane_deploys.plan import uplink as wanted
from groundplane_deploys.plan.bridging import networkd
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.undo import can_undo


@deploy("Uplink", data_defaults={**DEFAULTS, "bridge_timeout": 60})
def uplink() -> None:
    """Create spec.uplink; a change that cuts off the controller reverts in `bridge_timeout` s."""
    spec = read_source().nodes[host.data.node_name].spec
    if spec.uplink is None:
        return
    there = host.get_fact(DirectoryDigests, path=networkd.DIRECTORY)
    links = host.get_fact(Links)
    try:
        change = wanted.plan(
            spec.uplink,
            spec.addresses,
            links,
            host.get_fact(LinkManagers),
            {f"{networkd.DIRECTORY}/{name}": digest for name, digest in there.items()},
        )
    except BridgeError as error:
        refusal.refuse(name="The uplink is as declared", reason=str(error))
        return
    can_undo()
    bridging.change(
        name="The uplink is as declared", wanted=change, timeout=int(host.data.bridge_timeout)
    )
