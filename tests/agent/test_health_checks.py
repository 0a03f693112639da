"""Health check node ports, asked over loopback as a load balancer asks."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing

import msgspec
import pytest

from groundplane.agent.health_checks import Check, HealthChecks, checks_of
from tests.states import BASE, service, state

HERE = ("127.0.0.1",)
WEB = Check("shop", "web", {"IPv4": 2, "IPv6": 2})
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: lb\r\n\r\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def serving(
    steps: Callable[[HealthChecks, int], Awaitable[None]],
    *,
    healthy: bool = True,
    patience_s: float = 2.0,
) -> None:
    """Run *steps* with servers beside a proxy that is *healthy*, and a port that is free."""

    async def run() -> None:
        checks = HealthChecks(lambda: healthy, patience_s)
        try:
            await asyncio.wait_for(steps(checks, free_port()), 10)
        finally:
            checks.close()

    asyncio.run(run())


async def ask(port: int, request: bytes = REQUEST, address: str = "127.0.0.1") -> str:
    """Return the whole answer."""
    reader, writer = await asyncio.open_connection(address, port)
    with closing(writer):
        writer.write(request)
        return (await reader.read()).decode()


async def refused(port: int) -> bool:
    try:
        await ask(port)
    except ConnectionRefusedError:
        return True
    return False


def test_the_answer_is_the_one_that_kubernetes_gives() -> None:
    """pkg/proxy/healthcheck/service_health.go: hcHandler.ServeHTTP."""

    async def steps(checks: HealthChecks, port: int) -> None:
        assert [] == await checks.serve(HERE, {port: WEB})
        head, _, body = (await ask(port)).partition("\r\n\r\n")
        status, *headers = head.split("\r\n")
        assert "HTTP/1.1 200 OK" == status
        assert {
            "Content-Type: application/json",
            "X-Content-Type-Options: nosniff",
            "X-Load-Balancing-Endpoint-Weight: 2",
            f"Content-Length: {len(body)}",
            "Connection: close",
        } == {*headers}
        assert body == (
            '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n'
            '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}'
        )

    serving(steps)


@pytest.mark.parametrize(
    ("endpoints", "healthy", "status"),
    [(1, True, 200), (0, True, 503), (1, False, 503), (0, False, 503)],
)
def test_it_is_well_with_an_endpoint_here_and_the_rules_in_place(
    endpoints: int, healthy: bool, status: int
) -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB._replace(local_endpoints={"IPv4": endpoints})})
        answer = await ask(port)
        assert answer.startswith(f"HTTP/1.1 {status} ")
        assert f'"localEndpoints": {endpoints}' in answer
        assert f'"serviceProxyHealthy": {"true" if healthy else "false"}' in answer

    serving(steps, healthy=healthy)


def test_each_family_has_the_endpoints_of_its_own() -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(("127.0.0.1", "::1"), {port: WEB._replace(local_endpoints={"IPv6": 1})})
        assert "503 Service Unavailable" in await ask(port)
        assert "200 OK" in await ask(port, address="::1")

    serving(steps)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"HEAD /healthz HTTP/1.1\r\nHost: lb\r\n\r\n",
        b"POST /a/b?c=d HTTP/1.1\r\nHost: lb\r\nContent-Length: 4\r\n\r\nbody",
        b"OPTIONS * HTTP/1.1\r\nHost: lb\r\nX-Much: " + b"x" * 4000 + b"\r\n\r\n",
    ],
)
def test_any_path_and_method_is_answered(request_: bytes) -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB})
        assert (await ask(port, request_)).startswith("HTTP/1.1 200 OK\r\n")

    serving(steps)


def test_a_slow_client_keeps_no_other_waiting_and_is_left_after_a_while() -> None:
    """One after the other they would take 15 s."""

    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB})
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        for _, writer in slow[:25]:
            writer.write(b"GET / HT")
        assert "200 OK" in await ask(port)
        assert {b""} == {await reader.read() for reader, _ in slow}
        for _, writer in slow:
            writer.close()

    serving(steps, patience_s=0.3)


@pytest.mark.parametrize("addresses", [1, 5])
def test_however_many_idle_connections_there_are_who_asks_is_answered(addresses: int) -> None:
    """Of one address, and of as many as fill all places together."""

    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB})
        first = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0))
        idle = [
            await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(f"127.0.1.{index % addresses}", 0)
            )
            for index in range(250)
        ]
        if addresses == 1:  # one client takes no place of another
            first[1].write(REQUEST)
            assert b"200 OK" in await first[0].read()
        for _ in range(3):
            assert "200 OK" in await ask(port)
        idle[-1][1].write(REQUEST)  # the youngest is still there
        assert b"200 OK" in await idle[-1][0].read()
        for _, writer in (first, *idle):
            writer.close()

    serving(steps)


@pytest.mark.parametrize("broken", [b"", b"\0\xff\r\n", b"GET / HTTP/1.1\r\n", b"x" * 20_000])
def test_a_broken_request_gets_no_answer_and_the_next_one_does(broken: bytes) -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB})
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(broken)
        writer.write_eof()
        try:
            assert b"" == await reader.read()
        except ConnectionResetError:
            assert len(broken) > 16 << 10  # what it sent was not read to its end
        writer.close()
        assert "200 OK" in await ask(port)

    serving(steps)


def test_a_client_that_resets_its_connection_harms_nobody() -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB})
        for sent in (b"", b"GET / HT", REQUEST):
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.send(sent)
            client.close()
        assert "200 OK" in await ask(port)

    serving(steps)


def test_a_port_that_is_taken_is_reported_and_served_once_it_is_free() -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        other = free_port()
        wanted = {port: WEB, other: Check("shop", "api", {"IPv4": 1})}
        with socket.create_server(("127.0.0.1", port)):
            told = f"health check node port {port} of Service/shop/web: 127.0.0.1: "
            for _ in range(2):
                faults = await checks.serve(HERE, wanted)
                assert [told + "Address already in use"] == faults
            assert '"name": "api"' in await ask(other)
        assert [] == await checks.serve(HERE, wanted)
        assert '"name": "web"' in await ask(port)

    serving(steps)


def test_an_address_that_the_node_does_not_have_yet_keeps_no_other_from_being_served() -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        (fault,) = await checks.serve(("192.0.2.1", *HERE), {port: WEB})
        assert fault.endswith("of Service/shop/web: 192.0.2.1: Cannot assign requested address")
        assert "200 OK" in await ask(port)

    serving(steps)


def test_ports_follow_the_checks() -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        other = free_port()
        await checks.serve(HERE, {port: WEB})
        await checks.serve(HERE, {port: WEB._replace(local_endpoints={}), other: WEB})
        assert "503 Service Unavailable" in await ask(port)
        assert "200 OK" in await ask(other)
        await checks.serve(HERE, {other: WEB})
        assert await refused(port)
        await checks.serve(HERE, {})
        assert await refused(other)

    serving(steps)


def test_servers_follow_the_nodes_addresses() -> None:
    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, {port: WEB})
        await checks.serve(("127.0.0.2", "::1"), {port: WEB})
        assert await refused(port)
        assert "200 OK" in await ask(port, address="127.0.0.2")
        assert "200 OK" in await ask(port, address="::1")

    serving(steps)


# ------------------------------------------------------------------------------------------------

PLAIN = service("web", ["10.96.0.5"])
CHECKED = msgspec.structs.replace(PLAIN, health_check_port=32000, local_endpoints={"IPv4": 3})


def test_checks_are_those_of_the_services_that_have_a_port_for_them() -> None:
    other = service("api", ["10.96.0.6"])
    assert {32000: Check("default", "web", {"IPv4": 3})} == checks_of(state(CHECKED, other))


@pytest.mark.parametrize(
    ("served", "now", "among", "expected"),
    [
        (PLAIN, PLAIN, {"web"}, False),
        (PLAIN, CHECKED, {"web"}, True),
        (CHECKED, CHECKED, {"web"}, True),
        (CHECKED, PLAIN, {"web"}, True),  # it has none any more
        (CHECKED, None, {"web"}, True),  # it is gone
        (CHECKED, CHECKED, {"api"}, False),
        (CHECKED, CHECKED, set(), False),
    ],
)
def test_a_change_concerns_them_where_a_service_has_or_had_a_port(
    served: object, now: object, among: set[str], expected: bool
) -> None:
    before, after = (state(*filter(None, [each])) for each in (served, now))  # type: ignore[arg-type]

    async def steps(checks: HealthChecks, port: int) -> None:
        await checks.serve(HERE, dict(zip([port], checks_of(before).values(), strict=False)))
        base = msgspec.structs.replace(BASE, addresses=HERE)
        keys = {("default", name) for name in among}
        assert expected == checks.concerned(state(*after.services.values(), base=base), keys)
        assert checks.concerned(after, set()), "the node has other addresses now"

    serving(steps)
