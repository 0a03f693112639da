"""The package as `pip install groundplane[deploy]` puts it, in an environment of its own."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from groundplane_deploys.catalog import ROOT


def install(directory: Path) -> Path:
    """Install the wheel of this checkout below *directory*; return the Python that has it.

    What the package needs it finds in the environment that runs the tests.
    """
    wheels, environment = directory / "wheels", directory / "environment"
    _run(str(ROOT / ".cache/uv/bin/uv"), "build", "--quiet", "--offline", "--no-build-isolation",
         "--wheel", f"--out-dir={wheels}")  # fmt: skip
    _run(sys.executable, "-P", "-m", "venv", "--without-pip", str(environment))
    (packages,) = environment.glob("lib/python3*/site-packages")
    _run(sys.executable, "-P", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-compile", f"--target={packages}", *map(str, wheels.glob("*.whl")))  # fmt: skip
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return environment / "bin" / "python"


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
