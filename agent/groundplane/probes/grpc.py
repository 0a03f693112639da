"""grpc: grpc.health.v1.Health/Check over HTTP/2 without TLS (pkg/probe/grpc). Bytes only."""

from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from groundplane import __version__
from groundplane.probes.outcome import ProbeOutcome

_CONFIG: Final = H2Configuration(client_side=True, header_encoding="utf-8")
_STREAM: Final = 1
_MESSAGE_BYTES: Final = 1 << 10
_SETTINGS: Final = b"\x04"  # type of a frame
_SERVING: Final = 1
_STATUSES: Final = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_CODES: Final = {  # google.golang.org/grpc/codes, those that a health server gives
    "4": "DEADLINE_EXCEEDED", "5": "NOT_FOUND", "7": "PERMISSION_DENIED", "12": "UNIMPLEMENTED",
    "13": "INTERNAL", "14": "UNAVAILABLE", "16": "UNAUTHENTICATED",
}  # fmt: skip


class HealthCheck:
    """One call: `outgoing` is what to send next, `received` takes what comes."""

    def __init__(self, authority: str, service: str) -> None:
        self._h2 = H2Connection(_CONFIG)
        self._h2.initiate_connection()
        self._h2.send_headers(_STREAM, [
            (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority), ("te", "trailers"), ("content-type", "application/grpc"),
            ("user-agent", f"groundplane-probe/{__version__}"),
        ])  # fmt: skip
        self._h2.send_data(_STREAM, _framed(service), end_stream=True)
        self._headers: dict[str, str] = {}
        self._message = b""
        self._begun = False

    def outgoing(self) -> bytes:
        return self._h2.data_to_send()

    def received(self, data: bytes) -> ProbeOutcome | None:
        """Return how the check ends, or None while more is to come; b"" is the connection's end."""
        if not data:
            return ProbeOutcome(passed=False, reason="the connection ends without an answer")
        # A server begins with its settings (RFC 9113, 3.4); h2 takes anything for a long frame.
        begins, self._begun = self._begun or data[3:4] in (b"", _SETTINGS), True
        try:
            events = self._h2.receive_data(data) if begins else None
        except ProtocolError:
            events = None
        if events is None:
            return ProbeOutcome(passed=False, reason=f"no HTTP/2: {data[:20]!r}")
        for event in events:
            if ended := self._judged(event):
                return ended
        return None

    def _judged(self, event: Event) -> ProbeOutcome | None:
        match event:
            case ResponseReceived(headers=headers) | TrailersReceived(headers=headers):
                self._headers |= {str(name): str(value) for name, value in headers or ()}
            case DataReceived(data=data):
                self._message += data or b""
                if len(self._message) > _MESSAGE_BYTES:
                    return ProbeOutcome(
                        passed=False, reason="no answer of grpc.health.v1: it is too long"
                    )
            case StreamEnded():
                return self._answer()
            case StreamReset(error_code=code) | ConnectionTerminated(error_code=code):
                return ProbeOutcome(passed=False, reason=f"gRPC: the call is reset ({code!s})")
        return None

    def _answer(self) -> ProbeOutcome:
        http, code = self._headers.get(":status", ""), self._headers.get("grpc-status")
        if http != "200":
            return ProbeOutcome(passed=False, reason=f"HTTP {http}")
        if code == "12":
            return ProbeOutcome(passed=False, reason="the server has no grpc.health.v1")
        if code != "0":
            return ProbeOutcome(
                passed=False, reason=f"gRPC {_CODES.get(code or '', f'status {code}')}"
            )
        status = _status(self._message)
        return ProbeOutcome(status == _SERVING, _STATUSES.get(status, f"status {status}"))


def _framed(service: str) -> bytes:
    """Return the HealthCheckRequest of *service* as gRPC frames it: field 1 is a string."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _status(framed: bytes) -> int:
    """Return the status of the HealthCheckResponse *framed*, field 1; 0 where it says none."""
    message = framed[5:]
    return message[1] if len(message) >= 2 and message[0] == 8 else 0
