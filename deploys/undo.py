"""What a host needs to undo a change of its network by itself, at once or at its next boot."""

from io import StringIO

from pyinfra.operations import files, systemd

from deploys.operations import bridging
from groundplane.rendering import render_template


def can_undo() -> None:
    """Have the program that changes the network in stages, and its unit for a boot in between."""
    files.put(
        name="The host can undo a change of its network",
        src=StringIO(render_template("bridge/groundplane-bridge.sh.j2")),
        dest=bridging.PROGRAM,
        mode="755",
    )
    unit = files.put(
        name="It does so at the next boot, too",
        src=StringIO(render_template("bridge/groundplane-bridge.service.j2")),
        dest="/etc/systemd/system/groundplane-bridge.service",
        mode="644",
    )
    systemd.daemon_reload(name="systemd knows that unit", _if=unit.did_change)
    systemd.service(
        name="That unit is enabled",
        service="groundplane-bridge.service",
        running=None,
        enabled=True,
    )
