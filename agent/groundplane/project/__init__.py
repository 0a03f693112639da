"""`project`: one node's view of the site, split into parts that are rendered one by one.

A part is a frozen value, and no two parts render to the same kernel object or record. Comparing
parts finds what to rewrite after a change, at a cost proportional to the change.
"""

from groundplane.project.node import project, project_base, project_service
from groundplane.project.state import (
    Member,
    NodeBase,
    NodeState,
    Part,
    Peer,
    Targets,
    VirtualPort,
    VirtualService,
)
from groundplane.project.update import (
    project_change,
    project_services,
    project_snapshot,
    update,
)
from groundplane.project.workload_index import WorkloadIndex

__all__ = [
    "Member",
    "NodeBase",
    "NodeState",
    "Part",
    "Peer",
    "Targets",
    "VirtualPort",
    "VirtualService",
    "WorkloadIndex",
    "project",
    "project_base",
    "project_change",
    "project_service",
    "project_services",
    "project_snapshot",
    "update",
]
