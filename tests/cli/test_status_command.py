"""How `groundplane status` calls ssh: the catalog's texts are never its options."""

import json
import sys
from pathlib import Path

import pytest

from tests.catalogs import SITE, write
from tests.cli.run import Command

_RECORD = """\
#!{python}
import json, sys
open({path!r}, "w").write(json.dumps(sys.argv[1:]))
"""


@pytest.mark.parametrize("config", [False, True])
def test_what_a_document_says_stands_behind_the_end_of_options(
    groundplane: Command, source: Path, monkeypatch: pytest.MonkeyPatch, *, config: bool
) -> None:
    write(source, {"site.yaml": SITE})
    programs, recorded = Path("bin").absolute(), Path("recorded").absolute()
    programs.mkdir()
    stand_in = programs / "ssh"
    stand_in.write_text(_RECORD.format(python=sys.executable, path=str(recorded)))
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    Path("config").touch()
    groundplane("status", *(["-F", "config"] if config else []), "site")
    arguments = json.loads(recorded.read_text())
    end = arguments.index("--")
    assert arguments[end + 1 :] == ["n1" if config else "192.0.2.1", "python3 -I -S -"]
    assert config or arguments[end - 2 : end] == ["-l", "root"]
