"""A server for the example: answers on the ports it is given with its name and its caller's address.

    workload.py NAME TCP:8080 UDP:7007 [ADDRESS ...]

TCP speaks HTTP/1.0; UDP answers each datagram. With addresses it listens on those alone, so that a
datagram's answer leaves from the address that was asked.
"""

import asyncio
import contextlib
import sys


def answer(name: str, peer: str) -> bytes:
    return f"{name} answers {peer.removeprefix('::ffff:')}\n".encode()


class Datagrams(asyncio.DatagramProtocol):
    """Answers each datagram."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(answer(self._name, addr[0]), addr)


async def serve(name: str, ports: list[str], addresses: list[str]) -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = answer(name, writer.get_extra_info("peername")[0])
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            head = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    for port in ports:
        protocol, _, number = port.partition(":")
        # A stream's listener for :: takes IPv6 alone in asyncio, a datagram socket's both families.
        everywhere = ["0.0.0.0", "::"] if protocol == "TCP" else ["::"]
        for address in addresses or everywhere:
            if protocol == "TCP":
                await asyncio.start_server(http, address, int(number), backlog=1024)
            else:
                await loop.create_datagram_endpoint(
                    lambda: Datagrams(name), local_addr=(address, int(number))
                )
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = sys.argv[2:]
    own = [each for each in given if not each.startswith(("TCP:", "UDP:"))]
    asyncio.run(serve(sys.argv[1], [each for each in given if each not in own], own))
