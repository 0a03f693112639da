"""A route as a value, desired by the agent or present in the kernel."""

from typing import NamedTuple


class Route(NamedTuple):
    """The route of a range: to a peer's address *via*, or to our link *device* with our *source*.

    With *tunnel*, packets go to that address in VXLAN, with *vni*.
    """

    via: str = ""
    source: str = ""
    device: str = ""
    tunnel: str = ""
    vni: int = 0
