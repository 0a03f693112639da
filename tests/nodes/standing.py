"""Runs on a node or in a workload: connections through a service that stand until the input ends.

    standing.py HOST PORT COUNT

Prints a line once all stand, and speaks on each of them ten times a second. After the end of its
input prints a JSON object: each answering workload, or each error, to its number of connections.
"""

import asyncio
import collections
import json
import sys


async def stand(
    host: str,
    port: int,
    gate: asyncio.Barrier,
    end: asyncio.Event,
    counts: collections.Counter[str],
) -> None:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.0\r\n")
        await gate.wait()
        while not end.is_set():
            writer.write(b"X-Still: here\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"\r\n")
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        counts[answer.split(b"\r\n\r\n")[1].split()[0].decode()] += 1
    except (OSError, TimeoutError, IndexError) as error:
        counts[f"error: {error!r}"] += 1


async def main(host: str, port: int, count: int) -> None:
    gate, end = asyncio.Barrier(count + 1), asyncio.Event()
    counts = collections.Counter[str]()
    tasks = [asyncio.create_task(stand(host, port, gate, end, counts)) for _ in range(count)]
    async with asyncio.timeout(10):
        await gate.wait()
    print("standing", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    end.set()
    await asyncio.gather(*tasks)
    print(json.dumps(counts))


asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:4])))
