"""The catalog on a node: whole, and readable by the agent alone."""

from pathlib import Path

import pytest
from pyinfra.api import State
from pyinfra.api.operation import add_op

from groundplane_deploys.operations import catalog
from tests.deploys.runs import run

pytestmark = pytest.mark.slow


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Return two files of a catalog, which everyone here may read."""
    made = {name: tmp_path / "here" / name for name in ("site.yaml", "apps/web.yaml")}
    for name, path in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return made


def put(files: dict[str, Path], dest: Path) -> None:
    """Put *files* at *dest*."""

    def step(state: State) -> None:
        add_op(state, catalog.put, files=files, dest=str(dest), group="nogroup")

    assert not run(["@local"], {}, step).failed_hosts


def seen(dest: Path) -> dict[str, tuple[int, str]]:
    found = [dest, *dest.rglob("*")]
    return {
        str(each.relative_to(dest)): (each.stat().st_mode & 0o777, each.group()) for each in found
    }


def test_nobody_but_the_agents_group_may_read_it(files: dict[str, Path], tmp_path: Path) -> None:
    dest = tmp_path / "there" / "catalog"
    put(files, dest)
    assert seen(dest) == {
        ".": (0o750, "nogroup"),
        "apps": (0o750, "nogroup"),
        "site.yaml": (0o640, "nogroup"),
        "apps/web.yaml": (0o640, "nogroup"),
    }
    assert [dest] == list(dest.parent.iterdir())
    assert "apps/web.yaml" == (dest / "apps/web.yaml").read_text()


def test_one_that_an_earlier_version_put_there_is_closed(
    files: dict[str, Path], tmp_path: Path
) -> None:
    dest = tmp_path / "catalog"
    put(files, dest)
    dest.chmod(0o755)
    put(files, dest)
    assert (0o750, "nogroup") == seen(dest)["."]
