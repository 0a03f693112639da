"""What on a node would drop service traffic, and what to do about it.

`gather` reads the node, `diagnose` judges what was read.
"""

from groundplane.diagnosis.facts import Address, Exposed, Facts, Finding, HostPort, Listener, Route
from groundplane.doctor.diagnose import diagnose
from groundplane.doctor.exposed import exposed
from groundplane.doctor.gather import gather

__all__ = [
    "Address",
    "Exposed",
    "Facts",
    "Finding",
    "HostPort",
    "Listener",
    "Route",
    "diagnose",
    "exposed",
    "gather",
]
