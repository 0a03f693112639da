"""Readiness probes: checks that find out which workloads pass.

`Prober` checks, `verdict` evaluates, `guard` detects failures that may be this node's own fault.
"""

from groundplane.probes.guard import doubtful
from groundplane.probes.prober import ProbeKey, Prober, Verdict
from groundplane.probes.reachable import reachable

__all__ = ["ProbeKey", "Prober", "Verdict", "doubtful", "reachable"]
