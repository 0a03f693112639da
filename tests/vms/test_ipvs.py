"""IPVS, on a kernel that has it: Debian's own, in a VM."""

import sys

import pytest

from deploys.catalog import ROOT
from tests.vms.guest import keep_bytecode, run_in_guest

pytestmark = pytest.mark.vms

CONFORMANCE = ("tests/conformance", "tests/kernel/test_ipvs.py", "tests/kernel/test_ipvs_living.py")
# Other ways than masquerading, SCTP's own sockets, filters of others, segments outside their window.
MORE = (
    *(f"tests/kernel/test_ipvs_{each}.py" for each in ("encoder", "forwarding", "sctp")),
    "tests/kernel/test_ipvs_coexistence.py",
    "tests/kernel/test_out_of_window.py",
)


@pytest.mark.parametrize("tests", [CONFORMANCE, MORE], ids=["conformance", "more"])
def test_the_conformance_suite_and_what_is_of_ipvs_alone(tests: tuple[str, ...]) -> None:
    """Not one of them is skipped there."""
    keep_bytecode(*tests)
    # What pytest loads by itself, nothing here uses.
    pytest_ = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -p no:cacheprovider"
    command = f"{pytest_} -q --color=no --durations=15 -k ipvs {' '.join(tests)}"
    status, output = run_in_guest(command, ROOT, within=1800)
    assert status == 0, output
    assert "skipped" not in output, output
