"""Install units after systemd has verified them."""

import hashlib
import io
import shlex
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from groundplane_deploys.facts.files import FileDigests

DIRECTORY = "/etc/systemd/system"
STAGE = "/run/groundplane-units"


@operation()
def unit(
    unit_name: str, text: str, directory: str = DIRECTORY, stage: str = STAGE
) -> Generator[FileUploadCommand | StringCommand]:
    """Write *text* to *unit_name* (a unit, or UNIT.d/FILE) after systemd verifies it.

    Nothing is changed if systemd would reject it or does not know one of its settings.
    """
    path = f"{directory}/{unit_name}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if host.get_fact(FileDigests, paths=[path]).get(path) == digest:
        host.noop(f"{path} is as declared")
        return
    of, _, drop_in = unit_name.partition(".d/")
    staged = f"{stage}/{unit_name}"
    made = [f"{stage}/{of}.d"] if drop_in else []
    yield StringCommand(
        "rm -rf", QuoteString(stage), "&& mkdir -p", *map(QuoteString, (stage, *made))
    )
    yield FileUploadCommand(io.StringIO(text), staged)
    yield StringCommand("sh -c", QuoteString(_checked(unit_name, path, stage)))


def _checked(name: str, path: str, stage: str) -> str:
    """Return the commands that check what is staged, and put it in place or take it away."""
    of, _, drop_in = name.partition(".d/")
    unit = shlex.quote(f"{stage}/{of}")
    staged, target = shlex.quote(f"{stage}/{name}"), shlex.quote(path)
    verify = "systemd-analyze verify --man=no --generators=no --recursive-errors=no"
    lines = [f"{verify} {unit} || {{"]
    if drop_in:
        lines.insert(0, f'cp "$(systemctl show -P FragmentPath {shlex.quote(of)})" {unit}')
    return "\n".join(
        [
            *lines,
            f"  rm -rf {shlex.quote(stage)}",
            f"  echo {shlex.quote(f'systemd would not take {path}: nothing is changed')} >&2",
            "  exit 1",
            "}",
            f"mkdir -p $(dirname {target}) && chmod 644 {staged} && mv {staged} {target}",
            f"rm -rf {shlex.quote(stage)}",
        ]
    )
