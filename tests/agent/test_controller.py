"""Bringing a site: only what it concerns, and what health check node ports say of it."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping

import pytest

from groundplane.agent import health_checks
from groundplane.agent.timings import Timings
from groundplane.errors import KernelRefused
from groundplane.project.state import NodeBase, NodeWorkloads, Part
from tests.agent.fakes import FILES, LOCK, SECOND, Place, Plane, until
from tests.catalogs import write


class Rendering(Plane):
    """Remembers the names of the parts that it rendered."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: list[str] = []

    def render(self, base: NodeBase, part: Part) -> Mapping[str, str]:
        if not isinstance(part, NodeWorkloads):
            self.rendered.append(part.name)
        return super().render(base, part)


def test_a_change_of_the_source_brings_only_the_services_concerned(place: Place) -> None:
    plane = Rendering()
    later = FILES["web.yaml"].replace("web", "later").replace(".0.5", ".0.7")
    lock = LOCK + "Service/default/later 10.96.0.7\n"

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        assert ["n1", "web"] == plane.rendered
        plane.rendered.clear()
        write(place.source, {"addresses.lock": lock, "api.yaml": SECOND, "later.yaml": later})
        await until(lambda: place.status.services == 3)
        assert ["api", "later"] == sorted(plane.rendered)
        plane.rendered.clear()
        write(place.source, {"api.yaml": SECOND.replace("80", "81")})
        await until(lambda: len(plane.rendered) > 1)
        assert ["api", "api"] == plane.rendered  # as it was, and as it is

    place.run(plane, steps=steps)
    assert {"10.96.0.5": "web", "10.96.0.6": "api", "10.96.0.7": "later"} == plane.there


def balanced(port: int) -> dict[str, str]:
    """Return files in which web is a load balancer that is to be asked for its health on *port*."""
    spec = (
        f"{{type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: {port}, "
        "allocateLoadBalancerNodePorts: false, clusterIP"
    )
    return {
        "web.yaml": FILES["web.yaml"].replace("{clusterIP", spec),
        "addresses.lock": f"{FILES['addresses.lock']}HealthCheck/default/web {port}\n",
    }


def test_a_health_check_port_that_cannot_be_opened_is_told_and_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's address is none of this machine's; loopback stands for it."""
    bound = health_checks._bound
    monkeypatch.setattr(health_checks, "_bound", lambda _, port: bound("127.0.0.1", port))
    taken = next(found for port in range(31000, 32000) if (found := try_to_take(port)))
    port = taken.getsockname()[1]
    write(place.source, balanced(port))

    async def steps() -> None:
        told = f"health check node port {port} of Service/default/web: 192.0.2.1: "
        await until(lambda: place.status.health_check_errors)
        assert (told + "Address already in use",) == place.status.health_check_errors
        assert ("", False) == (place.status.source_error, place.status.healthy)
        taken.close()
        await until(lambda: place.status.healthy)
        assert b"503 Service Unavailable" in await answer(port)
        write(place.source, FILES)  # no load balancer any more
        await until(lambda: place.status.revision and not served(port))

    with taken:
        place.run(Plane(), steps=steps)
    assert not served(port)


def try_to_take(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def served(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def answer(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize(
    ("name", "patience", "expected"),
    [("nftables", 60, b"true"), ("nftables", 0, b"false"), ("dns", 0, b"true")],
)
def test_health_check_node_ports_follow_the_proxy_alone_and_after_a_minute(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str, patience: float, expected: bytes
) -> None:
    """A load balancer outside goes on to a node whose rules are as declared."""
    bound, planes = health_checks._bound, {each: Plane(each) for each in ("nftables", "dns")}
    monkeypatch.setattr(health_checks, "_bound", lambda _, port: bound("127.0.0.1", port))
    place.timings = Timings(retries=(0.1,), unhealthy_after=patience)
    with next(f for port in range(31000, 32000) if (f := try_to_take(port))) as found:
        port = found.getsockname()[1]
    write(place.source, balanced(port))

    async def steps() -> None:
        await until(lambda: place.status.healthy)
        assert b'"serviceProxyHealthy": true' in await answer(port)
        planes[name].fails, planes[name].there = KernelRefused("no room"), {}
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: any(each.error for each in place.status.planes))
        assert b'"serviceProxyHealthy": ' + expected in await answer(port)

    place.run(*planes.values(), steps=steps)
