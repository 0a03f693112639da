"""Bridges of a hypervisor, on the NIC that its own network is on."""

from pyinfra import host
from pyinfra.api import deploy

from groundplane_deploys.facts.bridge_filter import DroppedFrames
from groundplane_deploys.facts.bridging import LinkManagers, Links
from groundplane_deploys.facts.files import DirectoryDigests
from groundplane_deploys.operations import bridging, refusal
from groundplane_deploys.plan.bridging import networkd
from groundplane_deploys.plan.bridging.errors import BridgeError
from groundplane_deploys.plan.bridging.plan import plan
from groundplane_deploys.plan.bridging.wanted import bridges_of
from groundplane_deploys.undo import can_undo
from groundplane_deploys.virtualization.declared import DEFAULTS, declared


@deploy("Bridges of a hypervisor", data_defaults=DEFAULTS)
def bridges() -> None:
    """Create its bridges; a change that cuts off the controller reverts in `bridge_timeout` s."""
    wanted = bridges_of(declared().spec.networks)
    links = host.get_fact(Links)
    there = host.get_fact(DirectoryDigests, path=networkd.DIRECTORY)
    try:
        change = plan(
            wanted,
            links,
            host.get_fact(LinkManagers),
            [f"{networkd.DIRECTORY}/{name}" for name in there],
        )
    except BridgeError as error:
        refusal.refuse(name="The bridges are as declared", reason=str(error))
        return
    can_undo()
    bridging.change(
        name="The bridges are as declared", wanted=change, timeout=host.data.bridge_timeout
    )
    if wanted and (dropping := host.get_fact(DroppedFrames)):
        refusal.refuse(
            name="The host's filter lets pass what its bridges pass",
            reason=f"{' and '.join(dropping)}: the chain FORWARD drops what bridges pass from port "
            "to port, so VMs are cut off: see deploys/README.md, Docker beside bridges",
        )
