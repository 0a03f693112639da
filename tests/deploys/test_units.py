"""Units are checked by systemd beside the others before they are put where it reads them."""

import shutil
from pathlib import Path

import pytest
from pyinfra.api import State
from pyinfra.api.operation import add_op

from groundplane.rendering import render_template
from groundplane_deploys.machine.name_server import JOURNALS_UNIT, REBUILD_PATH, REBUILD_SERVICE
from groundplane_deploys.operations import units
from tests.deploys.runs import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing"),
]

GOOD = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
NAMES = {
    "journals": "/var/lib/bind/groundplane/journals",
    "mount": JOURNALS_UNIT,
    "script": "/bin/true",
    "request": "/run/groundplane/rebuild-zones",
}


def put(place: Path, name: str, text: str) -> bool:
    """Put the unit *name* below *place*; return whether that is done."""

    def step(state: State) -> None:
        add_op(
            state,
            units.unit,
            unit_name=name,
            text=text,
            directory=str(place / "units"),
            stage=str(place / "stage"),
        )

    return not run(["@local"], {}, step).failed_hosts


def test_unit_that_systemd_takes_is_put_in_place(tmp_path: Path) -> None:
    assert put(tmp_path, "a.service", GOOD)
    assert GOOD == (tmp_path / "units" / "a.service").read_text()
    assert not (tmp_path / "stage").exists()
    assert put(tmp_path, "a.service", GOOD)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.service", GOOD.replace("Type=oneshot", "Typ=oneshot"), "Unknown key"),
        ("a.service", GOOD.replace("/bin/true", "bin/true"), "absolute path"),
        ("a.mount", "[Mount]\nWhat=tmpfs\nWhere=/b\n", "match unit name"),
    ],
)
def test_nothing_is_changed_that_systemd_would_not_take(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, text: str, told: str
) -> None:
    path = tmp_path / "units" / name
    path.parent.mkdir()
    path.write_text(GOOD)
    assert not put(tmp_path, name, text)
    assert GOOD == path.read_text()
    assert not (tmp_path / "stage").exists()
    assert told in caplog.text
    assert f"systemd would not take {path}: nothing is changed" in caplog.text


@pytest.mark.parametrize(
    ("name", "template"),
    [
        (JOURNALS_UNIT, "journals.mount.j2"),
        (REBUILD_PATH, f"{REBUILD_PATH}.j2"),
        (REBUILD_SERVICE, f"{REBUILD_SERVICE}.j2"),
    ],
)
def test_units_of_the_name_server_are_taken(tmp_path: Path, name: str, template: str) -> None:
    assert put(tmp_path, name, render_template(template, **NAMES))


def test_agents_state_is_closed_to_other_users_and_its_socket_is_not() -> None:
    unit = render_template("groundplane-agent.service.j2", directory="/opt/groundplane")
    lines = unit.splitlines()
    assert "StateDirectoryMode=0750" in lines
    assert "UMask=0027" in lines
    assert "RuntimeDirectoryMode=0755" in lines
