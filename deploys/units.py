"""Units of systemd as files: there, or gone, and known to systemd either way."""

from pyinfra import host
from pyinfra.api.operation import OperationMeta
from pyinfra.facts.files import File
from pyinfra.operations import files, systemd

from groundplane_deploys.operations import units
from groundplane_deploys.operations.units import DIRECTORY


def put_unit(unit: str, text: str) -> OperationMeta:
    """Have the file *unit* (a unit's name, or NAME.d/FILE) say *text*; return what tells a change."""
    put = units.unit(name=f"systemd has {unit}", unit_name=unit, text=text)
    systemd.daemon_reload(name=f"systemd knows {unit}", _if=put.did_change)
    return put


def remove_unit(unit: str) -> OperationMeta | None:
    """Have no *unit*, neither running nor as a file; return what tells a change, None without one."""
    path = f"{DIRECTORY}/{unit}"
    if not host.get_fact(File, path=path):
        return None
    systemd.service(name=f"{unit} is off", service=unit, running=False, enabled=False)
    gone = files.file(name=f"systemd has no {unit}", path=path, present=False)
    systemd.daemon_reload(name=f"systemd forgets {unit}", _if=gone.did_change)
    return gone
