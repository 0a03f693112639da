"""Detection and deletion of conntrack entries that lead to a removed endpoint."""

from groundplane.dataplanes.conntrack.flows import Flow, Frontend, Range, Scope, packed, stale
from groundplane.dataplanes.conntrack.kernel import Conntrack
from groundplane.dataplanes.conntrack.plane import StaleFlows, expected_flows

__all__ = [
    "Conntrack",
    "Flow",
    "Frontend",
    "Range",
    "Scope",
    "StaleFlows",
    "expected_flows",
    "packed",
    "stale",
]
