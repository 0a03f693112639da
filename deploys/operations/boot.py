"""Reboot detection: a machine by its kernel's boot ID, a container by its first process."""

import time
from collections.abc import Generator

from pyinfra.api import FunctionCommand, Host, OperationError, State, StringCommand, operation

from groundplane_deploys.facts.machine import BootIdentity


@operation(is_idempotent=False)
def booted(seconds: int) -> Generator[FunctionCommand | StringCommand]:
    """Reboot the host, and reconnect; OperationError if it does not answer in time.

    pyinfra's own operation checks the uptime, which in a container is the host's.
    """
    before: list[str] = []

    def remember(state: State, host: Host) -> None:  # noqa: ARG001 - by these names
        before.append(host.get_fact(BootIdentity))

    def come_back(state: State, host: Host) -> None:  # noqa: ARG001 - by these names
        until = time.monotonic() + seconds
        host.disconnect()
        while True:
            host.connect(show_errors=False)
            if host.connected and host.get_fact(BootIdentity) != before[0]:
                return
            host.disconnect()
            if time.monotonic() > until:
                raise OperationError(f"it did not come back within {seconds} s")
            time.sleep(1)

    yield FunctionCommand(remember, (), {})
    # Outside the session, which would wait for its end.
    yield StringCommand("(sleep 1; systemctl reboot) </dev/null >/dev/null 2>&1 &")
    yield FunctionCommand(come_back, (), {})
