"""What the deploys make of bonds, with Debian's own kernel: this machine's may have none."""

import platform
import sys

import pytest

from deploys.catalog import ROOT
from deploys.lab.base import ensure_base
from deploys.lab.model import PYTHONS, Lab
from deploys.wheelhouse import wheelhouse_for
from tests.nodes.packages import fetch_for
from tests.vms.booted import run_booted

pytestmark = [pytest.mark.vms, pytest.mark.slow]

TESTS = ("tests/nodes/test_bond.py", "tests/deploys/virtualization/test_bonds.py")


@pytest.mark.parametrize("test", TESTS)
def test_bonds(test: str) -> None:
    """Not one of them is skipped there."""
    cache = Lab().cache
    base = ensure_base(cache)
    wheelhouse_for(PYTHONS["node"], platform.machine())
    for package in ("ifupdown", "ifenslave", "netplan.io"):
        fetch_for(base, cache, package)
    pytest_ = f"{sys.executable} -m pytest -p no:cacheprovider -q -m nodes --color=no"
    status, output = run_booted(f"{pytest_} --durations=0 {test}", ROOT, within=3600)
    assert status == 0, output
    assert "skipped" not in output, output
