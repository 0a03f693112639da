"""Netlink's framing: attributes and messages as bytes, and a socket for requests and answers.

Formats: include/uapi/linux/netlink.h, include/uapi/linux/netfilter/nfnetlink.h. What a message
means is its subsystem's matter (dataplanes/nftables, conntrack).
"""

import errno
import os
import socket
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

NETFILTER: Final = 12  # the protocol of nf_tables and ctnetlink: NETLINK_NETFILTER
AF: Final = {"IPv4": 2, "IPv6": 10}

REQUEST, ACK, DUMP, CREATE = 1, 4, 0x300, 0x400  # flags of requests
NESTED: Final = 0x8000  # of an attribute's kind: its payload is attributes

_ERROR, _DONE = 2, 3
_DUMP_INTERRUPTED: Final = 0x10
_KIND_MASK: Final = 0x3FFF  # without NESTED and the byte order's flag
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT_CHECK = 270, 10, 11, 12
_OFFSET: Final = 2  # NLMSGERR_ATTR_OFFS
_SO_SNDBUFFORCE: Final = 32  # needs CAP_NET_ADMIN, and ignores net.core.wmem_max
# The kernel fills datagrams of at most 32 KiB in a dump; a single answer may be larger.
_DATAGRAM: Final = 1 << 20

_nlmsghdr = struct.Struct("=IHHII")
_nlattr = struct.Struct("=HH")
_nfgenmsg = struct.Struct(">BBH")


class NetlinkMessage(NamedTuple):
    """An answer; *body* is what follows the netlink header."""

    kind: int
    flags: int
    body: bytes


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes; its payload has at most 65,531 bytes."""
    return _nlattr.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    """Return the attribute whose payload is the attributes *parts*."""
    return attribute(NESTED | kind, b"".join(parts))


def attributes(body: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield kind and payload of the attributes of *body* from *start* on."""
    end = len(body)
    while start + 4 <= end:
        length, kind = _nlattr.unpack_from(body, start)
        if length < 4:  # the kernel sends none; a malformed one would loop forever
            return
        yield kind & _KIND_MASK, body[start + 4 : start + length]
        start += (length + 3) & ~3


def netfilter(family: int, resource: int = 0) -> bytes:
    """Return the header at the start of every message body of netfilter's subsystems."""
    return _nfgenmsg.pack(family, 0, resource)


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Return a message; netfilter's kinds are the subsystem's number << 8 | the command's."""
    return _nlmsghdr.pack(16 + len(body), kind, flags, sequence, 0) + body


def messages(datagram: bytes) -> Iterator[NetlinkMessage]:
    """Yield the messages of a datagram."""
    start, end = 0, len(datagram)
    while start + 16 <= end:
        length, kind, flags, _, _ = _nlmsghdr.unpack_from(datagram, start)
        if length < 16:
            return
        yield NetlinkMessage(kind, flags, datagram[start + 16 : start + length])
        start += (length + 3) & ~3


def acknowledging(sent: bytes) -> bytes:
    """Return the message *sent*, asking for an acknowledgement."""
    length, kind, flags, sequence, port = _nlmsghdr.unpack_from(sent)
    return _nlmsghdr.pack(length, kind, flags | ACK, sequence, port) + sent[16:]


class MessageError(NamedTuple):
    """The first error of what was sent: its number, the sequence of the message that it is about,
    and the place of the attribute in that message, from the header on, where the kernel says."""

    code: int
    sequence: int
    offset: int | None


def _complaint(body: bytes) -> MessageError:
    """Return the error in a body: its number, the message's header, then attributes."""
    sequence = struct.unpack_from("=I", body, 12)[0]
    offset = dict(attributes(body, 20)).get(_OFFSET)
    return MessageError(_code(body), sequence, struct.unpack("=I", offset)[0] if offset else None)


def _code(body: bytes) -> int:
    """Return the error number in an answer, 0 for success."""
    return -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0


def _failed(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _open(protocol: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    # Errors come without the message they are about: several must fit the receive buffer.
    opened.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
    opened.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
    if protocol == socket.NETLINK_ROUTE:  # a dump of what is asked for, and of nothing else
        opened.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
    opened.bind((0, 0))
    return opened


class Socket:
    """A netlink socket of the network namespace that the thread is in; for one thread at a time.

    Every failure, an overrun of the receive buffer (ENOBUFS) included, is an OSError with the
    kernel's number, and leaves a socket that can be used: it is reopened, with another port,
    where answers may still be under way.
    """

    def __init__(self, protocol: int = NETFILTER) -> None:
        self._protocol = protocol
        self._socket = _open(protocol)
        self._buffer = bytearray(_DATAGRAM)  # once: a new one for each answer would be page faults
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """The kernel's number of this socket; it changes when the socket is reopened."""
        return int(self._socket.getsockname()[0])

    @contextmanager
    def _conversation(self) -> Iterator[None]:
        """Ensure that no unread answer is taken for the answer to the next request."""
        try:
            yield
        except BaseException:  # also of a reader that wants no more: GeneratorExit
            self._socket.close()
            self._socket = _open(self._protocol)
            raise

    def ask(self, kind: int, flags: int, body: bytes, *, whole: bool = True) -> Iterator[bytes]:
        """Yield the bodies of the answers to one request, *flags* with DUMP for all there are.

        A dump into which someone wrote raises InterruptedError, since its parts do not fit
        together; with *whole* false they are yielded all the same, and some may be missing.
        """
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        with self._conversation():
            self._send(message(kind, flags | REQUEST, self._sequence, body))
            code = yield from self._answers(dump=flags & DUMP == DUMP, whole=whole)
        if code:  # nothing more comes: the socket keeps its port, by which others know it
            raise _failed(code)

    def _answers(self, *, dump: bool, whole: bool) -> Generator[bytes, None, int]:
        """Yield the bodies of all answers to a request; return the number of the error, 0 for none."""
        while True:
            for answer, marks, payload in self._receive():
                if marks & _DUMP_INTERRUPTED and whole:
                    raise _failed(errno.EINTR)
                if answer in (_DONE, _ERROR):
                    return _code(payload)
                yield payload
            if not dump:
                return 0

    def commit(self, sent: bytes) -> MessageError | None:
        """Send *sent*, whose last message asks for an acknowledgement; return the first complaint
        about its messages, None when all were done."""
        return next(iter(self.complaints(sent)), None)

    def complaints(self, sent: bytes) -> list[MessageError]:
        """Send *sent* as `commit` does; return the error of each refused message."""
        with self._conversation():
            self._send(sent)
            return self._await_ack()

    def _send(self, datagram: bytes) -> None:
        """Send *datagram*, enlarging the send buffer if needed: it cannot be split."""
        size = 2 * len(datagram)
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < size:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)
        self._socket.send(datagram)

    def _receive(self) -> Iterator[NetlinkMessage]:
        length = self._socket.recv_into(self._buffer)
        return messages(bytes(memoryview(self._buffer)[:length]))

    def _await_ack(self) -> list[MessageError]:
        found: list[MessageError] = []
        while True:
            for kind, _, body in self._receive():
                if kind != _ERROR:
                    continue
                code = _code(body)
                if code:
                    found.append(_complaint(body))
                # Errors of other messages come before the answer to the last one, which asked.
                if code == 0 or self._is_idle():
                    return found

    def _is_idle(self) -> bool:
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        return False
