"""UDP conntrack entries that lead to an endpoint that is gone: found, and deleted."""

from groundplane.conntrack.flows import Expectation, Flow, Place, Range, Scope, stale
from groundplane.conntrack.kernel import Cleaned, Conntrack, clean

__all__ = [
    "Cleaned",
    "Conntrack",
    "Expectation",
    "Flow",
    "Place",
    "Range",
    "Scope",
    "clean",
    "stale",
]
