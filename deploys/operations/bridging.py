"""Staged changes of a host's network: a change not confirmed over the new network is reverted."""

import time
from collections.abc import Generator
from typing import Any

from pyinfra import host, logger
from pyinfra.api import (
    FileUploadCommand,
    FunctionCommand,
    Host,
    QuoteString,
    State,
    StringCommand,
    operation,
)
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS

from groundplane_deploys.facts.bridging import Links
from groundplane_deploys.facts.files import FileDigests
from groundplane_deploys.plan.bridging.change import Change

PROGRAM = "/usr/local/sbin/groundplane-bridge"
STATE_DIRECTORY = "/var/lib/groundplane-bridge"

_NOT_READY = "not ready"
_QUOTED = QuoteString(_NOT_READY)
_SILENT = "it did not answer"
# Time that the host needs after the limit to revert.
_GRACE = 20.0
_PATIENCE = 10  # seconds for an answer by a connection that stands


@operation()
def change(
    wanted: Change, timeout: int
) -> Generator[FileUploadCommand | FunctionCommand | StringCommand]:
    """Make the files and links of the host's network as *wanted*.

    The host reverts the change itself unless a connection made after it confirms it within
    *timeout* seconds, or if the host goes down first.
    """
    digests = host.get_fact(FileDigests, paths=sorted(wanted.files))
    links = host.get_fact(Links)
    if wanted.is_written(digests) and wanted.is_seen(links):
        host.noop("the bridges are as declared")
        return
    staged, archive = f"{STATE_DIRECTORY}/staged", f"{STATE_DIRECTORY}/staged.tar"
    yield StringCommand("mkdir -p", QuoteString(STATE_DIRECTORY))
    yield FileUploadCommand(wanted.archive(), archive)
    yield StringCommand(
        "rm -rf", QuoteString(staged), "&& mkdir", QuoteString(staged),
        "&& tar -x --no-same-owner -f", QuoteString(archive), "-C", QuoteString(staged),
        "&& rm", QuoteString(archive),
    )  # fmt: skip
    yield StringCommand(PROGRAM, "apply", str(timeout))
    yield FunctionCommand(_come_back, (timeout,), {})


def _come_back(state: State, host: Host, timeout: int) -> bool:  # noqa: ARG001 - by these names
    """Reconnect and confirm; if the host reverted instead, report its reason."""
    arguments = {
        key: value
        for key, value in (host.current_op_global_arguments or {}).items()
        if key in CONNECTOR_ARGUMENT_KEYS
    }
    began = time.monotonic()
    said = _SILENT
    while time.monotonic() - began < timeout + _GRACE:
        # Two connections: only one made after the change proves that the host is reachable.
        if (said := _ask(host, "check", arguments, said)) == "":
            said = _ask(host, "confirm", arguments, said)
            if said == "":
                return True
        if said not in (_NOT_READY, _SILENT):
            break
        time.sleep(0.5)
    now = "is the one before" if _reach(host) else "is to be the one before, but it does not answer"
    host.log_styled(
        f"The new network was not confirmed within {timeout} s, and that of the host {now}: {said}",
        fg="red",
        log_func=logger.error,
    )
    return False


def _ask(host: Host, verb: str, arguments: dict[str, Any], before: str) -> str:
    """Return "" for yes, or the host's reason; uses a connection of its own."""
    if not _reach(host):
        return _SILENT
    try:
        done, output = host.run_shell_command(
            StringCommand(
                PROGRAM, verb, "; code=$?; test $code != 3 || echo", _QUOTED, "; exit $code"
            ),
            **{**arguments, "_timeout": _PATIENCE},
        )
    except Exception:  # noqa: BLE001 - whatever ends a connection: the next one is another
        return before
    if done:
        return ""
    return _NOT_READY if _NOT_READY in output.stdout else output.stderr or before


def _reach(host: Host) -> bool:
    try:
        host.disconnect()
    except Exception:  # noqa: BLE001 - it may be gone already
        host.connected = False
    try:
        host.connect(show_errors=False, raise_exceptions=True)
    except Exception:  # noqa: BLE001 - refused, unreachable, no banner: it is not there yet
        return False
    return bool(host.connected)
