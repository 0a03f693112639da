"""Whether the kernel makes bonds."""

import subprocess

import pytest


def needs_bonds() -> None:
    """Skip the test where no bond can be made."""
    made = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "probe", "type", "bond"],
        text=True,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"no bond can be made here: {made.stderr.strip()}")
