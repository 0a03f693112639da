"""Parts and services as the lines of their map elements, for tests."""

from typing import Any

import msgspec

from groundplane.dataplanes.nftables.maps import map_of
from groundplane.project.node import project_service
from groundplane.project.state import NodeBase, Part
from groundplane.site import compiled
from groundplane.site.compiled import Endpoint, Port, columns
from tests.rulesets import render
from tests.states import BASE, HERE

# Services of these tests are on the node n1 and have the pool 0x12.

OWN = Endpoint("a", "n1", "", "10.244.1.10", "", (8080,))
FAR = Endpoint("b", "n2", "", "10.244.2.10", "", (8080,))
STICKY = msgspec.structs.replace(BASE, affinity_timeouts=(60, 10800))
BALANCED: dict[str, Any] = {"load_balancer_ips": ("203.0.113.6",)}
NODE_PORT: dict[str, Any] = {"ports": (Port("http", "TCP", 80, 0x12, 30080),)}


def texts(part: Part, base: NodeBase = BASE) -> list[str]:
    """Return the elements of *part* as lines `table map element`."""
    found = render(base, part).items()
    return sorted(f"{map_of(e)!r} {map_of(e).element_text(e, data)}" for e, data in found)


def lines(*endpoints: Endpoint, without: str = "", **fields: Any) -> list[str]:
    """Return the elements of a service of IPv4, but the address of its own and maps *without*."""
    plain = compiled.Service(
        "default",
        "web",
        ("IPv4",),
        ("10.96.0.5",),
        (Port("http", "TCP", 80, 0x12),),
        columns(endpoints),
    )
    made = msgspec.structs.replace(plain, **fields)
    found = texts(project_service(made, HERE, frozenset()), STICKY)
    assert "ip service_addresses 10.96.0.5" in found
    return [
        line.removeprefix("ip ")
        for line in found
        if line != "ip service_addresses 10.96.0.5" and line.split()[1] not in without.split()
    ]
