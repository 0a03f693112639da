"""IPVS over generic netlink: writes commands in batches, reads virtual servers."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from groundplane.errors import KernelRefused, ObjectsRefused
from groundplane.kernel.netlink import (
    DUMP,
    REQUEST,
    Socket,
    acknowledging,
    attribute,
    attributes,
    message,
)
from groundplane.proxies.ipvs import messages
from groundplane.proxies.ipvs.messages import Destination, Timeouts
from groundplane.proxies.ipvs.objects import Scheduling, ServerKey, Value
from groundplane.proxies.ipvs.text import rule

_GENERIC: Final = 16  # NETLINK_GENERIC
_CONTROLLER, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2  # CTRL_*
_NAME: Final = b"IPVS\0"
_BATCH: Final = 8000  # messages: a megabyte


class Command(NamedTuple):
    """A command for one object; *number* is its number in messages.py."""

    number: int
    key: ServerKey
    value: Value


class IpvsConnection:
    """A netlink socket to IPVS of the thread's network namespace.

    OSError if the kernel has no IPVS; the query itself loads the module if available.
    """

    def __init__(self) -> None:
        self._netlink = Socket(_GENERIC)
        try:
            self._family = self._resolve()
        except BaseException:
            self._netlink.close()
            raise
        # The decoded answers of the last dump, by the bytes of each that packets do not change.
        self._known: dict[bytes, tuple[ServerKey, Scheduling] | None] = {}

    def _resolve(self) -> int:
        request = bytes((_GET_FAMILY, 1, 0, 0)) + attribute(_FAMILY_NAME, _NAME)
        (answer,) = self._netlink.ask(_CONTROLLER, 0, request)
        return int.from_bytes(dict(attributes(answer, 4))[_FAMILY_ID], sys.byteorder)

    def close(self) -> None:
        self._netlink.close()

    def run(self, commands: Iterable[Command]) -> None:
        """Run *commands* in order; ObjectsRefused names the refused ones.

        IPVS has no transactions: all other commands take effect.
        """
        coming, refused = iter(commands), dict[ServerKey, str]()
        while batch := list(islice(coming, _BATCH)):
            sent = [
                message(self._family, REQUEST, number, messages.body(*each))
                for number, each in enumerate(batch)
            ]
            sent[-1] = acknowledging(sent[-1])
            try:
                complaints = self._netlink.complaints(b"".join(sent))
            except OSError as error:
                raise KernelRefused(f"IPVS took no change: {error.strerror}") from None
            for each in complaints:
                _, key, value = batch[each.sequence]
                refused[key] = f"IPVS refused `{rule(key, value)}`: {os.strerror(each.code)}"
        if refused:
            raise ObjectsRefused(refused)

    def servers(self) -> Iterator[tuple[ServerKey, Scheduling]]:
        """Yield every virtual server, including other programs' servers."""
        known: dict[bytes, tuple[ServerKey, Scheduling] | None] = {}
        tail, mark = 0, b""
        for answer in self._netlink.ask(self._family, DUMP, messages.header(messages.GET_SERVICE)):
            start = len(answer) - tail
            if not mark or answer[start : start + 4] != mark:
                start = messages.statistics_at(answer)
                tail, mark = len(answer) - start, answer[start : start + 4]
            head = answer[:start]
            found = self._known[head] if head in self._known else messages.server_in(answer)
            known[head] = found
            if found is not None:
                yield found
        self._known = known

    def destinations(self, server: ServerKey) -> list[Destination]:
        """Return the destinations of *server*; none if the server does not exist."""
        request = messages.query(messages.GET_DEST, server)
        answers = self._netlink.ask(self._family, DUMP, request)
        return [
            found
            for answer in answers
            if (found := messages.destination_in(answer, server)) is not None
        ]

    def weighted(self, server: ServerKey) -> list[tuple[ServerKey, int]]:
        """Return the keys and values of the destinations of *server*, without their connections."""
        request = messages.query(messages.GET_DEST, server)
        answers = self._netlink.ask(self._family, DUMP, request)
        found = [messages.weighted_in(answer, server) for answer in answers]
        return [each for each in found if each is not None]

    def replace_timeouts(self, old: Timeouts, new: Timeouts) -> None:
        """Set the timeouts *new* if the current ones are *old*: others may have set theirs."""
        (answer,) = self._netlink.ask(self._family, 0, messages.header(messages.GET_CONFIG))
        if messages.timeouts_in(answer) == old:
            request = message(self._family, REQUEST, 1, messages.set_timeouts(new))
            self._netlink.commit(acknowledging(request))
