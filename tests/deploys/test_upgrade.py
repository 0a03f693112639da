"""What frames an upgrade, on hosts that only pretend to do what they are told."""

import re
import sys

import pytest
from pyinfra.api import Host, State
from pyinfra.api.deploy import add_deploy
from pyinfra.api.operation import add_op
from pyinfra.connectors.fake import FakeConnector
from pyinfra.operations import server

from groundplane_deploys.machine.upgrade import begin
from tests.deploys.runs import run

CHANGE = "systemctl restart something"
HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")


@pytest.mark.parametrize(("well", "touched"), [(True, 3), (False, 1)])
def test_no_node_is_touched_after_one_that_failed(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    well: bool,
    touched: int,
) -> None:
    """Each of the three would fail: in which order pyinfra takes them is its own affair.

    The two others name that one, and not each other.
    """
    monkeypatch.setattr(sys, "argv", ["pyinfra", "--serial"])
    answers = {CHANGE: {"success": well}}
    pretended = {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": answers}

    def begun(state: State) -> None:
        add_deploy(state, begin)

    def changed(state: State) -> None:
        add_op(state, server.shell, commands=[CHANGE])

    state = run(HOSTS, pretended, begun, changed, serial=True)
    assert touched == sum(CHANGE in "\n".join(told(host)) for host in state.inventory)
    reasons = re.findall(r"OperationError\('not begun, since (.*) failed'", caplog.text)
    assert 3 - touched == len(reasons)
    assert 1 >= len({*reasons}), reasons


def told(host: Host) -> list[str]:
    assert isinstance(host.connector, FakeConnector)
    return host.connector.executed_commands
