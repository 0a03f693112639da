"""Runs on a node or in a workload: opens connections through a service and counts who answers.

    client.py URL_HOST PORT COUNT CONCURRENCY

Prints a JSON object: each answering workload, or each error, to its number of connections.
"""

import asyncio
import collections
import json
import sys


async def once(
    host: str, port: int, gate: asyncio.Semaphore, counts: collections.Counter[str]
) -> None:
    async with gate:
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                answer = await reader.read()
                writer.close()
            counts[answer.split(b"\r\n\r\n")[1].split()[0].decode()] += 1
        except (OSError, TimeoutError, IndexError) as error:
            counts[f"error: {error!r}"] += 1


async def main(host: str, port: int, count: int, concurrency: int) -> None:
    gate = asyncio.Semaphore(concurrency)
    counts = collections.Counter[str]()
    await asyncio.gather(*(once(host, port, gate, counts) for _ in range(count)))
    print(json.dumps(counts))


asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5])))
