"""UDP conntrack entries that lead to an endpoint that is gone: found, and deleted."""

from groundplane.dataplanes.conntrack.flows import Expectation, Flow, Place, Range, Scope, stale
from groundplane.dataplanes.conntrack.kernel import Cleaned, Conntrack, clean
from groundplane.dataplanes.conntrack.plane import StaleFlows

__all__ = [
    "Cleaned",
    "Conntrack",
    "Expectation",
    "Flow",
    "Place",
    "Range",
    "Scope",
    "StaleFlows",
    "clean",
    "stale",
]
