"""The program on the host is valid shell, and says how it is called."""

import subprocess
from pathlib import Path

from groundplane.rendering import render_template


def test_the_program_is_valid_and_explains_itself(tmp_path: Path) -> None:
    program = tmp_path / "groundplane-bridge"
    program.write_text(render_template("bridge/groundplane-bridge.sh.j2"))
    subprocess.run(["sh", "-n", str(program)], check=True)
    done = subprocess.run(["sh", str(program)], text=True, capture_output=True)
    assert done.returncode == 1
    assert "usage: " in done.stderr
