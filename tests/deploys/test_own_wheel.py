"""What is installed makes the wheel of itself again, for nodes."""

import json
import os
import platform
import subprocess
import zipfile
from pathlib import Path

import pytest

from groundplane_deploys.catalog import ROOT
from tests.deploys.installation import install

pytestmark = pytest.mark.slow

SCRIPT = """\
import json, platform, sys
from pathlib import Path
from groundplane_deploys.catalog import IS_CHECKOUT, KEPT
from groundplane_deploys.own_wheel import repack
from groundplane_deploys.wheelhouse import wheelhouse_for
found = wheelhouse_for("3.11", platform.machine())
print(json.dumps([IS_CHECKOUT, str(KEPT), str(repack(Path(sys.argv[1]))), str(found.directory)]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("installed"))


def run(python: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": f"{ROOT / '.cache/uv/bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        [python, *arguments], cwd=home, env=environment, text=True, capture_output=True
    )


def test_it_has_what_the_built_one_has(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "-c", SCRIPT, str(tmp_path))
    assert done.returncode == 0, done.stderr
    is_checkout, kept, made, wheels = json.loads(done.stdout)
    assert (False, str(tmp_path / ".cache/groundplane")) == (is_checkout, kept)
    (built,) = python.parents[2].glob("wheels/*.whl")
    with zipfile.ZipFile(made) as one, zipfile.ZipFile(built) as other:
        assert sorted(other.namelist()) == sorted(one.namelist())
        differing = [name for name in one.namelist() if one.read(name) != other.read(name)]
        (record,) = differing or [""]
        lines = [sorted(each.read(record).decode().splitlines()) for each in (one, other)]
        assert record.endswith("/RECORD")
        assert lines[0] == lines[1]
    names = {path.name.split("-")[0].lower() for path in Path(wheels).glob("*.whl")}
    assert {"groundplane", "msgspec", "pip"} <= names
    assert platform.machine() in " ".join(path.name for path in Path(wheels).glob("*.whl"))


def test_it_says_that_it_was_told_no_catalog(python: Path, tmp_path: Path) -> None:
    reading = "from groundplane_deploys.catalog import read_source; read_source()"
    done = run(python, tmp_path, "-c", reading)
    assert (1, "GROUNDPLANE_SOURCE is not set: the directory of your catalog\n") == (
        done.returncode,
        done.stderr,
    )
