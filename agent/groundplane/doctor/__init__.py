"""Finds what drops service traffic on a node, and how to fix it.

`gather` reads the node's state, `diagnose` evaluates it.
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
