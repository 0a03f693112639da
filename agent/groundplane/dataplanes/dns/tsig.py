"""Signatures of DNS messages with a shared key (TSIG, RFC 8945) and HMAC-SHA256. Pure."""

import hmac
import struct
from typing import Final, NamedTuple

from groundplane.dataplanes.dns.wire import RCODES, TSIG, DnsMessage, name
from groundplane.errors import StateError

_FUDGE_S: Final = 300
_ANY: Final = 255
_ALGORITHM: Final = name("hmac-sha256.")
_VARIABLES: Final = struct.pack("!HI", _ANY, 0)  # class and TTL
_ERRORS: Final = {16: "BADSIG", 17: "BADKEY", 18: "BADTIME", 22: "BADTRUNC"}


class TsigKey(NamedTuple):
    """A key, with the name that both sides use for it."""

    name: str
    secret: bytes


class Signed(NamedTuple):
    """A message with its signature, which the signature of its answer also covers."""

    wire: bytes
    mac: bytes


def sign(wire: bytes, key: TsigKey, now: int) -> Signed:
    """Return *wire*, a question, signed at *now* (s since 1970)."""
    timers = _timers(now, _FUDGE_S)
    owner = name(key.name)
    mac = _mac(key, wire, owner, _VARIABLES, _ALGORITHM, timers, b"\0\0\0\0")
    data = b"".join((_ALGORITHM, timers, struct.pack("!H", len(mac)), mac, wire[:2], b"\0\0\0\0"))
    record = owner + struct.pack("!HHIH", TSIG, _ANY, 0, len(data)) + data
    return Signed(wire[:10] + b"\0\1" + wire[12:] + record, mac)


class Verifier:
    """Verifies the messages of the answer to a question that was signed with *mac*."""

    def __init__(self, key: TsigKey, mac: bytes) -> None:
        self._key, self._before, self._first = key, mac, True

    def verify(self, wire: bytes, message: DnsMessage, now: int) -> None:
        """Raise StateError unless *wire*, the next message, is signed, at about *now*."""
        if message.tsig is None:
            raise StateError("an answer is not signed")
        try:
            self._verify(wire, message, *message.tsig, now)
        except (struct.error, ValueError):
            raise StateError("the signature of an answer is cut off") from None

    def _verify(self, wire: bytes, message: DnsMessage, begin: int, start: int, now: int) -> None:
        algorithm, at = _name_end(wire, start)
        timers = wire[at : at + 8]
        (length,) = struct.unpack_from("!H", wire, at + 8)
        mac = wire[at + 10 : at + 10 + length]
        number, error, other = struct.unpack_from("!HHH", wire, at + 10 + length)
        if error:
            code = RCODES.get(message.rcode, str(message.rcode))
            raise StateError(f"{code}, {_ERRORS.get(error, error)}")
        (left,) = struct.unpack_from("!H", wire, 10)
        unsigned = struct.pack("!H", number) + wire[2:10] + struct.pack("!H", left - 1)
        parts = [struct.pack("!H", len(self._before)), self._before, unsigned, wire[12:begin]]
        if self._first:
            rest = struct.pack("!HH", error, other)
            parts += [name(self._key.name), _VARIABLES, algorithm, timers, rest]
        else:
            parts.append(timers)  # RFC 8945, 5.3.1
        if not hmac.compare_digest(mac, _mac(self._key, *parts)):
            raise StateError("an answer is not signed with our key")
        signed = int.from_bytes(timers[:6], "big")
        if abs(signed - now) > int.from_bytes(timers[6:], "big"):
            raise StateError(f"an answer was signed {abs(signed - now)} s away from now")
        self._before, self._first = mac, False


def _timers(now: int, fudge: int) -> bytes:
    return now.to_bytes(6, "big") + struct.pack("!H", fudge)


def _mac(key: TsigKey, *parts: bytes) -> bytes:
    return hmac.digest(key.secret, b"".join(parts), "sha256")


def _name_end(wire: bytes, start: int) -> tuple[bytes, int]:
    """Return the name at *start*, which is never compressed there, and its end offset."""
    end = wire.index(b"\0", start) + 1
    return wire[start:end].lower(), end
