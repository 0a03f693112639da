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


@pytest.mark.parametrize("prints", ["exec yes", "exec yes >&2"])
def test_a_node_that_prints_without_end_costs_no_memory(
    groundplane: Command, source: Path, monkeypatch: pytest.MonkeyPatch, prints: str
) -> None:
    write(source, {"site.yaml": SITE})
    programs = Path("bin").absolute()
    programs.mkdir()
    (programs / "ssh").write_text(f"#!/bin/sh\n{prints}\n")
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    done = groundplane("status", "--within", "1", "-o", "json", "site")
    assert 1 == done.status
    assert ("the answer has more than 8 MiB" in done.out) != ("no answer within 1 s" in done.out)
