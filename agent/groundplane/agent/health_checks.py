"""Health check node ports: tell external load balancers if this node has endpoints of a service.

The answer is Kubernetes' (pkg/proxy/healthcheck/service_health.go): 200 if there is an endpoint and
the proxy is healthy, else 503; the same body and headers. Only endpoints of the requested address's
family count: a load balancer checks each family separately.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from groundplane.agent.connections import AT_ONCE, lengthen_queue
from groundplane.agent.exchanges import REQUEST_BYTES, Exchanges, Response, encoded
from groundplane.net.address import family_of
from groundplane.net.protocols import Family
from groundplane.project import NodeState
from groundplane.site.blocks import Key

_PATIENCE_S: Final = 2.0
_CONNECTIONS: Final = 200  # at a time, of all ports: other tasks also need descriptors
_OF_A_CLIENT: Final = 50


class Check(NamedTuple):
    """What one health check node port reports."""

    namespace: str
    name: str
    local_endpoints: Mapping[Family, int]


def checks_of(state: NodeState) -> dict[int, Check]:
    """Return what each health check node port of *state* reports."""
    return {
        each.health_check_port: Check(each.namespace, each.name, each.local_endpoints)
        for each in state.services.values()
        if each.health_check_port
    }


def answer(check: Check, family: Family, *, healthy: bool) -> bytes:
    """Return the complete HTTP response to a request at an address of *family*."""
    count = check.local_endpoints.get(family, 0)
    status = 200 if count and healthy else 503
    report = {
        "service": {"namespace": check.namespace, "name": check.name},
        "localEndpoints": count,
        "serviceProxyHealthy": healthy,
    }
    weight = f"X-Load-Balancing-Endpoint-Weight: {count}"
    body = json.dumps(report, indent="\t").encode()
    return encoded(Response(status, body, headers=(weight,)))


class HealthChecks:
    """The servers of this node; `serve` opens and closes them as services come and go.

    *healthy* is called on each request and returns whether the proxy is healthy; an exchange takes
    at most *patience_s* seconds.
    """

    def __init__(self, healthy: Callable[[], bool], patience_s: float = _PATIENCE_S) -> None:
        self._healthy = healthy
        self._servers: dict[tuple[int, str], asyncio.Server] = {}  # by port and address
        self._addresses: Sequence[str] = ()
        self._checks: Mapping[int, Check] = {}
        self._exchanges = Exchanges(_CONNECTIONS, _OF_A_CLIENT, patience_s)

    def concerned(self, state: NodeState, keys: Collection[Key]) -> bool:
        """Return whether `serve` must be called for *state*, in which only *keys* differ."""
        services = state.services
        served = {(each.namespace, each.name) for each in self._checks.values()}
        return self._addresses != state.base.addresses or any(
            key in served or (key in services and services[key].health_check_port) for key in keys
        )

    async def serve(self, addresses: Sequence[str], checks: Mapping[int, Check]) -> list[str]:
        """Report *checks* on *addresses*; return the errors of ports that cannot be served."""
        wanted = {(port, address) for port in checks for address in addresses}
        for place in self._servers.keys() - wanted:
            self._servers.pop(place).close()
        self._addresses, self._checks = addresses, checks
        faults = []
        for port, address in sorted(wanted - self._servers.keys()):
            try:
                server = await asyncio.start_server(
                    self._exchanges.answering(partial(self._answer, port, family_of(address))),
                    sock=_bound(address, port),
                    limit=REQUEST_BYTES,
                    backlog=AT_ONCE,
                )
                self._servers[port, address] = server
                lengthen_queue(server)
            except OSError as error:
                where = f"Service/{checks[port].namespace}/{checks[port].name}"
                why = os.strerror(error.errno or 0)
                faults.append(f"health check node port {port} of {where}: {address}: {why}")
        return faults

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    async def _answer(self, port: int, family: Family, head: bytes | None) -> bytes:
        """Answer a request with any method and path; b"" if it is too long."""
        check = self._checks.get(port)
        if head is None or check is None:
            return b""
        return answer(check, family, healthy=self._healthy())


def _bound(address: str, port: int) -> socket.socket:
    """Return a socket that listens only on *port* of *address*."""
    ipv6 = family_of(address) == "IPv6"
    opened = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(100)
    except OSError:
        opened.close()
        raise
    return opened
