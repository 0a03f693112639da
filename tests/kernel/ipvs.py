"""Whether the kernel that runs has IPVS."""

import subprocess
from pathlib import Path

import pytest


def need_ipvs() -> None:
    """Skip the test where there is none; tests/vms/test_ipvs.py runs it in a VM."""
    if not Path("/proc/net/ip_vs").exists():
        subprocess.run(["modprobe", "ip_vs"], check=False, capture_output=True)
    if not Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has no IPVS; tests/vms/test_ipvs.py runs this in a VM that has")
