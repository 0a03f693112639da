"""A workload's health as the agent knows it, for `groundplane get --live`."""

import msgspec


class WorkloadHealth(msgspec.Struct, frozen=True, rename="camel"):
    """Whether the workload *namespace*/*name* passes, since when (Unix seconds), and why.

    *why* is the result of its last probe, or names the health file; then *since* is 0. *held*: it
    fails but stays an endpoint, since this node is cut off.
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
