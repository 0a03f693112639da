"""A bare node's own link, where the catalog says what it is: changed in stages, or not at all."""

from pyinfra import host
from pyinfra.api import deploy

from deploys import uplink as wanted
from deploys.bridging import networkd
from deploys.bridging.errors import BridgeError
from deploys.catalog import read_source
from deploys.facts.bridging import LinkManagers, Links
from deploys.facts.files import DirectoryDigests
from deploys.machine.defaults import DEFAULTS
from deploys.operations import bridging, refusal
from deploys.undo import can_undo


@deploy("Uplink", data_defaults={**DEFAULTS, "bridge_timeout": 60})
def uplink() -> None:
    """Make spec.uplink; what cuts the controller off undoes itself within `bridge_timeout` seconds."""
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
