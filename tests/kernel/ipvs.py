"""Whether the kernel that runs has IPVS, and a site whose nodes balance by it."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from groundplane.site import compiled


def need_ipvs() -> None:
    """Skip the test where there is none; tests/vms/test_ipvs.py runs it in a VM."""
    if not Path("/proc/net/ip_vs").exists():
        subprocess.run(["modprobe", "ip_vs"], check=False, capture_output=True)
    if not Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has no IPVS; tests/vms/test_ipvs.py runs this in a VM that has")


def in_mode(site: compiled.Site, mode: str) -> compiled.Site:
    """Return *site* with that proxy mode of every node."""
    nodes = tuple(msgspec.structs.replace(each, proxy_mode=mode) for each in site.nodes)
    return msgspec.structs.replace(site, nodes=nodes)
