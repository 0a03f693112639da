"""A route as a value: what the agent wants, and what the kernel has."""

from typing import NamedTuple


class Route(NamedTuple):
    """Where a range goes: to a peer's address *via*, or to our link *device* with *source* as ours.

    With *tunnel* packets go to that address in VXLAN, with *vni*.
    """

    via: str = ""
    source: str = ""
    device: str = ""
    tunnel: str = ""
    vni: int = 0
