"""Commands for libvirt that several operations yield."""

import io
from collections.abc import Iterator
from typing import Literal

from pyinfra.api import FileUploadCommand, QuoteString, StringCommand

from groundplane_deploys.facts.libvirt import VIRSH

Restart = Literal["now", "later"]
"""Whether to restart for changes that take effect only after a restart."""

_SCRATCH = "/run/groundplane-libvirt.xml"


def virsh(*words: str) -> StringCommand:
    """Return the command that has virsh do *words*, each of them quoted."""
    return StringCommand(VIRSH, *(QuoteString(word) for word in words))


def define(verb: str, xml: str) -> Iterator[FileUploadCommand | StringCommand]:
    """Yield what defines *xml* by *verb*, checked against libvirt's schema before."""
    yield FileUploadCommand(io.StringIO(xml), _SCRATCH)
    yield virsh(verb, _SCRATCH, "--validate")


def shut_down(name: str, limit: int) -> StringCommand:
    """Return the command that shuts down domain *name*, or powers it off after *limit* seconds."""
    quoted = QuoteString(name)
    return StringCommand(
        VIRSH, "shutdown", quoted, "2>/dev/null;",
        f"for second in $(seq {limit}); do test \"$({VIRSH} domstate", quoted, ")\" = 'shut off'",
        "&& exit 0; sleep 1; done;", VIRSH, "destroy", quoted,
    )  # fmt: skip


def refused(reason: str) -> StringCommand:
    """Return a command that fails only on this host, with *reason*.

    An exception in an operation would end the run for all hosts while it is prepared.
    """
    return StringCommand("printf '%s\\n'", QuoteString(reason), ">&2; exit 1")
