"""What on a node would drop service traffic, and what to do about it.

`gather` reads the node, `diagnose` judges what was read.
"""

from groundplane.diagnosis.facts import (
    AddressFact,
    Exposed,
    Facts,
    Finding,
    HostPort,
    Listener,
    RouteFact,
)
from groundplane.doctor.diagnose import diagnose
from groundplane.doctor.exposed import exposed
from groundplane.doctor.gather import gather

__all__ = [
    "AddressFact",
    "Exposed",
    "Facts",
    "Finding",
    "HostPort",
    "Listener",
    "RouteFact",
    "diagnose",
    "exposed",
    "gather",
]
