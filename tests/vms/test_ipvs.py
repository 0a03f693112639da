"""IPVS, on a kernel that has it: Debian's own, in a VM."""

import sys

import pytest

from groundplane_deploys.catalog import ROOT
from tests.vms.guest import keep_bytecode, run_in_guest

pytestmark = pytest.mark.vms

# What needs no kernel is left out.
TESTS = (
    "tests/conformance",
    *(
        f"tests/kernel/test_ipvs{each}.py"
        for each in ("", "_encoder", "_living", "_forwarding", "_sctp", "_coexistence")
    ),
    "tests/kernel/test_out_of_window.py",
)
# Whether a listener of the host answers does not depend on br_netfilter.
CHOSEN = "ipvs and not test_the_simulator_says_the_same and not (bridged and no_listener)"


def test_the_conformance_suite_and_what_is_of_ipvs_alone() -> None:
    """Not one of them is skipped there."""
    keep_bytecode(*TESTS)
    # What pytest loads by itself, nothing here uses.
    pytest_ = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -p no:cacheprovider"
    command = f"{pytest_} -q --color=no --durations=25 -k '{CHOSEN}' {' '.join(TESTS)}"
    status, output = run_in_guest(command, ROOT, within=3600)
    print(output)
    assert status == 0, output
    assert "skipped" not in output, output
