"""The stages of `make test`: side by side, each with its output in one block, ended by a failure."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundplane_deploys.catalog import ROOT
from tests.stages import Stage, run_rows


def stage(name: str, script: str) -> Stage:
    return Stage(name, ("sh", "-c", script))


def test_each_output_is_one_block(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lanes = [[stage("a", "echo one; sleep 0.1; echo two >&2"), stage("b", "echo three")],
             [stage("c", "echo four; sleep 0.2; echo five")]]  # fmt: skip
    ended = run_rows([lanes], side_by_side=True)
    assert {"a": 0, "b": 0, "c": 0} == {each.stage.name: each.status for each in ended}
    output = capfdbinary.readouterr().out.decode()
    for block in ("one\ntwo\n", "three\n", "four\nfive\n"):
        assert block in output


def test_a_failure_interrupts_the_other_stages_and_they_clean_up(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    other = f"trap 'echo cleaned; exit 2' INT; touch {tmp_path}/ready; sleep 60 & wait"
    bad = f"until test -e {tmp_path}/ready; do sleep 0.05; done; exit 3"
    lanes = [[stage("bad", bad), stage("next", "echo begun")], [stage("other", other)]]
    ended = run_rows([lanes], side_by_side=True)
    assert {"bad": 3, "other": None, "next": None} == {e.stage.name: e.status for e in ended}
    output = capfdbinary.readouterr().out.decode()
    assert "cleaned\n" in output
    assert "begun\n" not in output


def test_a_row_begins_when_the_one_before_has_ended(tmp_path: Path) -> None:
    rows = [
        [[stage("a", f"sleep 0.1; touch {tmp_path}/a")]],
        [[stage("b", f"test -e {tmp_path}/a")]],
    ]
    assert [0, 0] == [each.status for each in run_rows(rows, side_by_side=True)]


def test_without_memory_lanes_run_one_after_another(tmp_path: Path) -> None:
    alone = f"mkdir {tmp_path}/alone && sleep 0.1 && rmdir {tmp_path}/alone"
    lanes = [[stage(name, alone)] for name in "ab"]
    assert [0, 0] == [each.status for each in run_rows([lanes], side_by_side=False)]


MAIN = """\
import sys
import tests.stages as stages
stages.ROWS = (((stages.Stage("a", ("sh", "-c", sys.argv.pop())),),),)
sys.exit(stages.main())
"""


def test_who_is_ended_ends_all_of_them(tmp_path: Path) -> None:
    waits = f"trap 'echo cleaned; exit 1' INT; touch {tmp_path}/ready; sleep 60 & wait"
    running = subprocess.Popen(
        [sys.executable, "-c", MAIN, waits], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    while not (tmp_path / "ready").exists():
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=30)
    assert 130 == running.returncode
    assert "cleaned" in output
