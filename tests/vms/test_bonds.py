"""What the deploys make of bonds, with Debian's own kernel: this machine's may have none."""

import sys

import pytest

from groundplane_deploys.catalog import ROOT
from groundplane_deploys.lab.base import ensure_base
from groundplane_deploys.lab.model import Lab
from tests.vms.booted import run_booted

pytestmark = [pytest.mark.vms, pytest.mark.slow]

TEST = "tests/nodes/test_bond.py"


def test_the_uplink_of_a_bare_node() -> None:
    """Not one of them is skipped there."""
    ensure_base(Lab().cache)
    pytest_ = f"{sys.executable} -m pytest -p no:cacheprovider -q -m nodes --color=no"
    status, output = run_booted(f"{pytest_} --durations=0 {TEST}", ROOT, within=3600)
    assert status == 0, output
    assert "skipped" not in output, output
