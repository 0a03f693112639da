"""IPVS, on a kernel that has it: Debian's own, in a VM."""

import sys

import pytest

from deploys.catalog import ROOT
from tests.vms.guest import run_in_guest

pytestmark = pytest.mark.vms

TESTS = ("tests/conformance", "tests/kernel/test_ipvs.py")


def test_the_conformance_suite_and_what_is_of_ipvs_alone() -> None:
    """Not one of them is skipped there."""
    pytest_ = f"{sys.executable} -m pytest -p no:cacheprovider -q --color=no"
    status, output = run_in_guest(f"{pytest_} -k ipvs {' '.join(TESTS)}", ROOT, within=1200)
    assert status == 0, output
    assert "skipped" not in output, output
