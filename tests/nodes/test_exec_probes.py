"""Exec probes on a booted node: in the workload's network, as a user without rights, if allowed."""

from collections.abc import Callable, Iterator

import pytest

from tests.nodes.conftest import EVERY_WEB, WEB, Deployed

pytestmark = pytest.mark.nodes

PROGRAM = "/usr/local/bin/lab-probe"
# It passes in the network of a workload, which has no bridge, as the user it is to run as.
SCRIPT = """#!/bin/sh
[ "$(id -un)" = groundplane-probe ] || exit 2
ip link show dev groundplane0 >/dev/null 2>&1 && exit 3
[ -e /opt/lab/ready ]
"""
PROBE = f"""
  readinessProbe:
    exec:
      command: [{PROGRAM}]
    periodSeconds: 1
    failureThreshold: 1
"""


@pytest.fixture
def probed(site: Deployed) -> Iterator[Deployed]:
    """The site with such a probe of web-1, which is on n1."""
    site.on("n1", f"cat > {PROGRAM} && chmod 755 {PROGRAM}", stdin=SCRIPT)
    try:
        site.push_and_wait(
            "web.yaml",
            lambda text: text.replace("    port: 8080\n", f"    port: 8080{PROBE}", 1),
        )
        yield site
    finally:
        site.deploy("groundplane_deploys.machine.agent.agent")
        site.restore()
        site.on("n1", f"rm -f {PROGRAM} /opt/lab/ready")


def _failing(site: Deployed, node: str) -> int:
    return int(site.status(node)["failing"])


def test_an_exec_probe_is_run_where_it_is_allowed(
    probed: Deployed, with_data: Callable[[str], Deployed]
) -> None:
    assert 0 == _failing(probed, "n1")  # it is off, and fails nowhere

    with_data(f"exec_probes = ['{PROGRAM}']").deploy("groundplane_deploys.machine.agent.agent")
    probed.wait(lambda: _failing(probed, "n1") == 1, 10, "it fails")
    others = {"web-2", "web-3"}
    probed.wait(lambda: others == set(probed.connect("n1", "", WEB, 80, count=60)), 5, "others")
    assert 0 == _failing(probed, "n2")  # its own node alone runs it
    probed.on("n1", "touch /opt/lab/ready")
    probed.wait(lambda: _failing(probed, "n1") == 0, 10, "it passes")
    probed.wait(lambda: EVERY_WEB == set(probed.connect("n1", "", WEB, 80, count=60)), 5, "all")

    again = with_data(f"exec_probes = ['{PROGRAM}']").deploy(
        "groundplane_deploys.machine.agent.agent"
    )
    done = again["results"]["operations"]
    assert [] == [each["name"] for each in done if each["success"] or each["error"]]

    with_data("exec_probes = ['/usr/bin/true']").deploy("groundplane_deploys.machine.agent.agent")
    probed.wait(lambda: _failing(probed, "n1") == 1, 10, "what is not listed is not run")
    assert "is not listed" in probed.on("n1", "groundplane events")

    probed.deploy("groundplane_deploys.machine.agent.agent")
    probed.wait(lambda: _failing(probed, "n1") == 0, 10, "it is off again")
    assert "" == probed.on("n1", "ls /etc/systemd/system | grep groundplane-exec", check=False)
