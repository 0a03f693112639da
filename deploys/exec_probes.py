"""The helper that runs exec probes: only on nodes whose data list allowed programs."""

from collections.abc import Sequence
from io import StringIO

from pyinfra.api.operation import OperationMeta
from pyinfra.operations import files, server, systemd

from groundplane.deploy_api import render_template
from groundplane_deploys.units import put_unit, remove_unit

UNIT = "groundplane-exec.service"
USER = "groundplane-probe"
ALLOW_LIST = "/etc/groundplane/exec-probes"


def exec_helper(
    programs: Sequence[str], directory: str, installed: OperationMeta
) -> OperationMeta | None:
    """Run the helper for *programs*, or remove it if empty; return the operation on its unit.

    The environment in *directory* contains its command; *installed* tells whether that changed.
    """
    if not programs:
        return _without()
    server.user(
        name="Commands of exec probes have a user of their own",
        user=USER,
        system=True,
        shell="/usr/sbin/nologin",
        home="/nonexistent",
        ensure_home=False,
    )
    files.put(
        name="Programs that exec probes may run are listed",
        src=StringIO("".join(f"{program}\n" for program in programs)),
        dest=ALLOW_LIST,
        user="root",
        group="root",
        mode="644",
    )
    text = render_template(f"{UNIT}.j2", directory=directory, user=USER, allow_list=ALLOW_LIST)
    unit = put_unit(UNIT, text)
    systemd.service(name="The helper runs", service=UNIT, running=True, enabled=True)
    systemd.service(
        name="The helper is the new one",
        service=UNIT,
        restarted=True,
        _if=lambda: installed.did_change() or unit.did_change(),
    )
    return unit


def _without() -> OperationMeta | None:
    files.file(name="No program is listed for exec probes", path=ALLOW_LIST, present=False)
    return remove_unit(UNIT)
