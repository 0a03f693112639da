"""Messages to IPVS, by a kernel that boots in two seconds."""

import sys

import pytest

from deploys.catalog import ROOT
from tests.vms.uml import run_in_uml

pytestmark = pytest.mark.vms


def test_the_encoder_beside_ipvsadm() -> None:
    """Not one of them is skipped there."""
    pytest_ = f"{sys.executable} -m pytest -p no:cacheprovider -q --color=no"
    status, output = run_in_uml(f"{pytest_} tests/kernel/test_ipvs_encoder.py", ROOT, within=300)
    assert status == 0, output
    assert "skipped" not in output, output
