"""`project`: the site as one node has to see it, split into parts that are rendered one by one.

A part is a frozen value, and no two parts render to the same kernel object or record: what has to
be rewritten after a change is found by comparing parts, at a cost proportional to the change.
"""

from groundplane.project.node import project, project_service
from groundplane.project.state import (
    Member,
    NodeBase,
    NodeState,
    Part,
    Peer,
    ServicePort,
    VirtualService,
)
from groundplane.project.update import ServiceIndex, update

__all__ = [
    "Member",
    "NodeBase",
    "NodeState",
    "Part",
    "Peer",
    "ServiceIndex",
    "ServicePort",
    "VirtualService",
    "project",
    "project_service",
    "update",
]
