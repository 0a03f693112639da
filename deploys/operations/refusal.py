"""Rejection of one host: an error of this host, while the others continue.

A DeployError is raised while the run is prepared, and ends it for every host.
"""

from collections.abc import Generator

from pyinfra import logger
from pyinfra.api import FunctionCommand, Host, State, operation


@operation()
def refuse(reason: str) -> Generator[FunctionCommand]:
    """Fail on this host with *reason*."""
    yield refusal(reason)


def refusal(reason: str) -> FunctionCommand:
    """Return the command that fails with *reason*, for operations that find out in between."""
    return FunctionCommand(_fail, (reason,), {})


def _fail(state: State, host: Host, reason: str) -> bool:  # noqa: ARG001 - pyinfra finds it by these names
    host.log_styled(reason, fg="red", log_func=logger.error)
    return False
