"""UDP conntrack entries that lead to an endpoint that is gone: found, and deleted."""

from groundplane.dataplanes.conntrack.flows import Expectation, Flow, Place, Range, Scope, stale
from groundplane.dataplanes.conntrack.kernel import Conntrack
from groundplane.dataplanes.conntrack.plane import StaleFlows

__all__ = [
    "Conntrack",
    "Expectation",
    "Flow",
    "Place",
    "Range",
    "Scope",
    "StaleFlows",
    "stale",
]
