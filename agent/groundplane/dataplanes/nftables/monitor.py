"""Changes of our tables by others: the kernel's notifications of all transactions but our own."""

import ctypes
import socket
import struct
from typing import Final, NamedTuple

from groundplane.kernel import owned
from groundplane.kernel.netlink import NETFILTER, attribute, attributes, messages
from groundplane.kernel.tables import SUBSYSTEM

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP: Final = 7  # NFNLGRP_NFTABLES
_NEW_GENERATION: Final = SUBSYSTEM << 8 | 15
_HEADER: Final = 4  # bytes of netfilter's header before a message's attributes
_PROCESS, _NAME = 2, 3  # NFTA_GEN_PROC_PID, NFTA_GEN_PROC_NAME
_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33  # needs CAP_NET_ADMIN, and ignores net.core.rmem_max
_BUFFER: Final = 4 << 20  # a flush of the ruleset reports each rule; only queued data use memory
_PORT: Final = 12  # where a netlink header has the sender's port
_DATAGRAM: Final = 1 << 16
# The notification of each object of a table has the attribute that names the table.
_OUR_TABLES: Final = tuple(
    attribute(1, name.encode() + b"\0") for name in (owned.TABLE, owned.SERVICES_TABLE)
)

_instruction = struct.Struct("=HBBI")
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K


class Touch(NamedTuple):
    """Others changed our tables; *by* names the program and its pid, "" when the kernel did not say."""

    by: str


class Monitor:
    """Notifications of nf_tables in the thread's network namespace."""

    def __init__(self, own_port: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self.ignore(own_port)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def ignore(self, own_port: int) -> None:
        """Let the kernel omit the changes made by the netlink socket with the port *own_port*."""
        port = socket.htonl(own_port)  # a filter loads words in network order
        program = b"".join(
            _instruction.pack(*each)
            for each in (
                (_LOAD, 0, 0, _PORT),
                (_EQUAL, 0, 1, port),
                (_RETURN, 0, 0, 0),
                (_RETURN, 0, 0, 0xFFFFFFFF),
            )
        )
        buffer = ctypes.create_string_buffer(program, len(program))
        filter_ = struct.pack("@HP", len(program) // _instruction.size, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)

    def touched(self) -> Touch | None:
        """Return who changed our tables since the last call; None if nobody did.

        Notifications lost to an overflow count as a change of our tables.
        """
        ours, by = False, ""
        while True:
            try:
                datagram = self._socket.recv(_DATAGRAM)
            except BlockingIOError:
                return Touch(by) if ours else None
            except OSError:  # ENOBUFS: notifications were lost
                ours = True
                continue
            if any(each in datagram for each in _OUR_TABLES):
                ours, by = True, ""
            by = (ours and _process(datagram)) or by


def _process(datagram: bytes) -> str:
    """Return the process named in a new generation's notification, or ""."""
    for kind, _, body in messages(datagram):
        if kind == _NEW_GENERATION:
            told = dict(attributes(body, _HEADER))
            pid, name = told.get(_PROCESS, b""), told.get(_NAME, b"")
            if name:
                text = name.rstrip(b"\0").decode(errors="replace")
                return f"{text} (pid {int.from_bytes(pid, 'big')})"
    return ""
