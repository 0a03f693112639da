"""Upgrade one node at a time: the steps around it, which stop the run after a node that fails."""

import json
import sys
import time
from typing import Final
from weakref import WeakSet

from pyinfra import host, inventory, state
from pyinfra.api import DeployError, Host, OperationError, deploy
from pyinfra.operations import apt, python

from groundplane_deploys.catalog import read_source
from groundplane_deploys.machine.defaults import DEFAULTS
from groundplane_deploys.machine.system import versions
from groundplane_deploys.operations import boot
from groundplane_deploys.operations import packages as own

UPGRADE_DEFAULTS = {
    **DEFAULTS,
    "upgrade_packages": None,  # those of `packages`
    "reboot": False,
    "force": False,
    # Seconds until a node has to be well again, once it is upgraded.
    "well_timeout": 120,
}


# To pyinfra these have failed, too.
_NOT_BEGUN: Final[WeakSet[Host]] = WeakSet()


@deploy("Before", data_defaults=UPGRADE_DEFAULTS)
def begin() -> None:
    """Do not start a node after one that failed, nor one whose upgrade clients would notice.

    pyinfra's --serial continues with the next host after a failure, even with --fail-percent 0
    (pyinfra#1195).
    """
    if len(inventory.get_active_hosts()) > 1 and "--serial" not in sys.argv:
        raise DeployError("nodes are upgraded one at a time: run pyinfra with --serial")
    if host.data.reboot is True and host.data.force is not True and _serves():
        raise DeployError(
            f"a reboot would cut connections to the endpoints of {host.data.node_name}: set its "
            "spec.state to drain first, or say --data force=true"
        )
    python.call(name="No node before this one has failed", function=_stop_after_a_failure)


@deploy("Debian's packages", data_defaults=UPGRADE_DEFAULTS)
def packages() -> None:
    """Upgrade the packages of the dataplanes to the newest versions that apt allows."""
    names = host.data.upgrade_packages
    if names is None:
        names = host.data.packages
    if names:
        versions()
        apt.update(name="apt knows what there is", cache_time=3600)
        own.upgraded(name="Packages of the dataplanes are the newest", packages=tuple(names))


@deploy("After", data_defaults=UPGRADE_DEFAULTS)
def end() -> None:
    """Reboot if requested, and wait until the agent reports that it is in sync."""
    if host.data.reboot is True:
        boot.booted(name="The node boots", seconds=int(host.data.well_timeout))
    python.call(
        name="The node is well", function=_wait_until_well, seconds=int(host.data.well_timeout)
    )


def _serves() -> bool:
    catalog = read_source()
    node = catalog.nodes[host.data.node_name]
    carried = any(
        workload.spec.node == node.name and workload.spec.state == "active"
        for workload in catalog.workloads.values()
    )
    return node.spec.state == "active" and carried


def _stop_after_a_failure() -> None:
    if state.failed_hosts:
        failed = sorted(each.name for each in state.failed_hosts if each not in _NOT_BEGUN)
        _NOT_BEGUN.add(inventory.get_host(host.name))
        raise OperationError(f"not begun, since {', '.join(failed)} failed")


def _wait_until_well(seconds: int) -> None:
    until = time.monotonic() + seconds
    while True:
        well, output = host.run_shell_command("groundplane agent status -o json")
        if well:
            return
        if time.monotonic() > until:
            raise OperationError(f"not well after {seconds} s: {_reason(output.stdout)}")
        time.sleep(1)


def _reason(shown: str) -> str:
    try:
        status = json.loads(shown)
    except ValueError:
        return shown.strip() or "the agent does not answer"
    problems = [plane["error"] for plane in status.get("planes", {}).values() if plane.get("error")]
    return "; ".join(problems) or status.get("sourceError") or "the agent does not run"
