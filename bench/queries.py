"""Asks a name server at a steady rate, and tells when each question was sent and answered.

A process of its own, so that nothing else waits for the interpreter. `python -m bench.queries` reads
its plan from standard input, and writes a line for each question when it is over.
"""

import gc
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

_GRACE_S: Final = 2.0  # for the last answers
_SOCKETS: Final = 8
_TURN_S: Final = 0.0005


class Asked(NamedTuple):
    """A question: which name, when it was sent and answered (CLOCK_MONOTONIC, s), and with what."""

    name: str
    sent: float
    answered: float  # 0 for never
    rcode: int
    address: str  # the last one of the answer, "" for none


def question(name: str, type_: int = 1) -> bytes:
    """Return a question for the addresses of *name*, numbered 0."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.rstrip(".").split("."))
    return struct.pack("!HHHHHH", 0, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, type_, 1)


def answered(wire: bytes) -> tuple[int, str]:
    """Return the code, and the last address: it is at the end, as nothing follows it here."""
    answers = struct.unpack_from("!H", wire, 6)[0]
    return wire[3] & 15, socket.inet_ntoa(wire[-4:]) if answers else ""


def ask(port: int, names: Sequence[str], rate: float, seconds: float) -> tuple[list[Asked], float]:
    """Ask 127.0.0.1 for *names* in turn, *rate* times a second.

    Returned beside is for how long at most, in seconds, this process itself did not get to ask: a
    machine that holds it up, and not the server, has made answers late then, and sent many at once.
    """
    wires = [question(name)[2:] for name in names]
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_SOCKETS)]
    poll = select.epoll()
    by_descriptor = {}
    for number, each in enumerate(sockets):
        each.connect(("127.0.0.1", port))
        each.settimeout(0)
        by_descriptor[each.fileno()] = number
        poll.register(each, select.EPOLLIN)
    sent: list[float] = []
    answers: dict[int, tuple[float, bytes]] = {}
    waiting: list[dict[int, int]] = [{} for _ in sockets]
    total = int(rate * seconds)
    start = last = time.monotonic()
    held_up = 0.0
    while len(sent) < total or (any(waiting) and time.monotonic() < sent[-1] + _GRACE_S):
        now = time.monotonic()
        held_up, last = max(held_up, now - last), now
        due = min(total, int((now - start) * rate))
        while len(sent) < due:
            index = len(sent)
            which, number = index % _SOCKETS, index // _SOCKETS & 0xFFFF
            waiting[which][number] = index
            sent.append(time.monotonic())
            sockets[which].send(struct.pack("!H", number) + wires[index % len(wires)])
        for descriptor, _ in poll.poll(_TURN_S):
            which = by_descriptor[descriptor]
            try:
                while True:
                    wire = sockets[which].recv(1500)
                    answers[waiting[which].pop(wire[0] << 8 | wire[1])] = time.monotonic(), wire
            except (BlockingIOError, ConnectionRefusedError):
                continue
    asked = [
        Asked(names[index % len(names)], when, found[0], *answered(found[1]))
        if (found := answers.get(index))
        else Asked(names[index % len(names)], when, 0.0, -1, "")
        for index, when in enumerate(sent)
    ]
    return asked, held_up


if __name__ == "__main__":
    plan = json.load(sys.stdin)
    gc.disable()
    print(json.dumps(ask(**plan)))
