"""Readiness probes: which workloads pass, found out by asking them.

`Prober` asks, `verdict` judges, `guard` says when the answer may be this node's own fault.
"""

from groundplane.probes.guard import doubtful
from groundplane.probes.prober import ProbeKey, Prober, Verdict
from groundplane.probes.reachable import reachable

__all__ = ["ProbeKey", "Prober", "Verdict", "doubtful", "reachable"]
