"""What the agent knows of a workload's health, as `groundplane get --live` asks for it."""

import msgspec


class WorkloadHealth(msgspec.Struct, frozen=True, rename="camel"):
    """Whether the workload *namespace*/*name* passes, since when (Unix seconds), and why.

    *why* is the answer of its last probe, or that the health file says so; then *since* is 0. *held*:
    it fails and stays an endpoint, since this node is cut off.
    """

    namespace: str
    name: str
    passing: bool
    since: float
    why: str
    held: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name
