"""Ethernet frames, byte by byte, and a socket that sends them and hears what comes.

Formats: RFC 826 (ARP), RFC 4861 (neighbour discovery), RFC 2710 (MLD), IEEE 802.1Q.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

ALL_NODES, BROADCAST = "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"
LLDP_GROUP: Final = "01:80:c2:00:00:0e"
_ALL_PROTOCOLS: Final = 3  # ETH_P_ALL
_ARP, _IPV4, _IPV6, _LLDP, _VLAN = 0x0806, 0x0800, 0x86DD, 0x88CC, 0x8100
_UDP, _ICMPV6 = 17, 58


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def packed(address: str) -> bytes:
    return ip_address(address).packed


def ethernet(source: str, to: str, kind: int, payload: bytes) -> bytes:
    return mac(to) + mac(source) + kind.to_bytes(2, "big") + payload


def tagged(frame: bytes, number: int) -> bytes:
    """Return *frame* with the tag of VLAN *number*."""
    return frame[:12] + struct.pack(">HH", _VLAN, number) + frame[12:]


def arp(source: str, to: str, sender: tuple[str, str], target: str, operation: int = 2) -> bytes:
    """Return an answer of ARP, or with 1 a question: *sender* is a hardware address and an address."""
    body = struct.pack(">HHBBH", 1, _IPV4, 6, 4, operation)
    body += mac(sender[0]) + packed(sender[1]) + bytes(6) + packed(target)
    return ethernet(source, to, _ARP, body)


def lldp(source: str) -> bytes:
    return ethernet(source, LLDP_GROUP, _LLDP, bytes(50))


def datagram(source: str, to: str, sender: str, target: str, port: int = 9) -> bytes:
    """Return a frame with a datagram of UDP from *sender* to *target*."""
    here, there = packed(sender), packed(target)
    length = 8 + len(b"attack")
    udp = struct.pack(">HHHH", 4000, port, length, 0) + b"attack"
    udp = (
        udp[:6] + _checksum(here + there + struct.pack(">IBBH", length, 0, 0, _UDP), udp) + udp[8:]
    )
    if len(here) == 16:
        return ethernet(source, to, _IPV6, _ipv6(here, there, _UDP, 64, udp))
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, _UDP, 0) + here + there
    head = head[:10] + _checksum(b"", head) + head[12:]
    return ethernet(source, to, _IPV4, head + udp)


def icmpv6(source: str, to: str, sender: str, target: str, kind: int, body: bytes) -> bytes:
    """Return a frame with a message of ICMPv6; *body* is what follows its checksum."""
    here, there = packed(sender), packed(target)
    message = struct.pack(">BBH", kind, 0, 0) + body
    pseudo = here + there + struct.pack(">II", len(message), _ICMPV6)
    message = message[:2] + _checksum(pseudo, message) + message[4:]
    return ethernet(source, to, _IPV6, _ipv6(here, there, _ICMPV6, 255, message))


def advertisement(
    source: str, to: str, sender: str, about: str, at: str, target: str = "ff02::1"
) -> bytes:
    """Return a neighbour advertisement of *sender*: the address *about* is at *at*; override."""
    body = bytes([0x20, 0, 0, 0]) + packed(about) + bytes([2, 1]) + mac(at)
    return icmpv6(source, to, sender, target, 136, body)


def solicitation(source: str, to: str, sender: str, about: str, target: str) -> bytes:
    """Return a neighbour solicitation of *sender*, whose hardware address it says is *source*."""
    option = b"" if sender == "::" else bytes([1, 1]) + mac(source)
    return icmpv6(source, to, sender, target, 135, bytes(4) + packed(about) + option)


def router(source: str, to: str, sender: str, prefix: str) -> bytes:
    """Return a router advertisement for half an hour, with an autonomous prefix of 64 bits."""
    body = struct.pack(">BBHII", 64, 0, 1800, 0, 0)
    body += struct.pack(">BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + packed(prefix)
    return icmpv6(source, to, sender, "ff02::1", 134, body)


def _ipv6(source: bytes, to: bytes, protocol: int, hops: int, payload: bytes) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, hops) + source + to + payload


def _checksum(pseudo: bytes, data: bytes) -> bytes:
    padded = pseudo + data + bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF or 0xFFFF).to_bytes(2, "big")


class Wire:
    """The link *name* of the namespace that the thread is in: frames to send, and those that come."""

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)
        )
        self._socket.bind((name, 0))

    def send(self, *frames: bytes) -> None:
        for frame in frames:
            self._socket.send(frame)

    def heard(self) -> Iterator[bytes]:
        """Yield what has come since the last call."""
        with suppress(BlockingIOError):
            while True:
                frame, (_, _, kind, *_) = self._socket.recvfrom(65535, socket.MSG_DONTWAIT)
                if kind != socket.PACKET_OUTGOING:
                    yield frame

    def close(self) -> None:
        self._socket.close()
