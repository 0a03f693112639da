"""The program with which a host reverts a network change itself, at once or at its next boot."""

from io import StringIO

from pyinfra.operations import files, systemd

from groundplane.deploy_api import render_template
from groundplane_deploys.operations import bridging
from groundplane_deploys.units import put_unit


def can_undo() -> None:
    """Have the program that changes the network in stages, and its unit for a boot in between."""
    files.put(
        name="The host can undo a change of its network",
        src=StringIO(render_template("bridge/groundplane-bridge.sh.j2")),
        dest=bridging.PROGRAM,
        mode="755",
    )
    unit = "groundplane-bridge.service"
    put_unit(unit, render_template(f"bridge/{unit}.j2"))
    systemd.service(
        name="It does so at the next boot, too",
        service=unit,
        running=None,
        enabled=True,
    )
