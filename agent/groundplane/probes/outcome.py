"""How a check ends, in words for people."""

import errno
import os
import ssl
from typing import Final, NamedTuple


class ProbeOutcome(NamedTuple):
    """Whether a check passed and why; *passed* is None where this node could not check at all."""

    passed: bool | None
    reason: str


# Errors of this node, not of the workload: no descriptor, memory or port left for a check.
_OURS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN)
)
_TEXTS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ETIMEDOUT: "no answer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
}


def of_error(number: int) -> ProbeOutcome:
    """Return the outcome of a check that failed with the system's error *number*."""
    if number in _OURS:
        return ProbeOutcome(None, f"not checked: {os.strerror(number)}")
    return ProbeOutcome(passed=False, reason=_TEXTS.get(number) or os.strerror(number).lower())


def of_tls_error(error: ssl.SSLError) -> ProbeOutcome:
    """Return the outcome of a failed handshake."""
    what = (error.reason or str(error)).replace("_", " ").lower()
    return ProbeOutcome(passed=False, reason=f"TLS: {what}")


def timed_out(seconds: int) -> ProbeOutcome:
    return ProbeOutcome(passed=False, reason=f"no answer within {seconds} s")
