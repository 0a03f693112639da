"""httpGet: the request and the evaluation of the answer (pkg/probe/http). Bytes only, no sockets.

A status of 200 to 399 passes. Redirects are followed while they stay on the same host; one to
another host passes, with a warning. Of the body 10 KiB are waited for and thrown away.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from groundplane import __version__
from groundplane.probes.outcome import ProbeOutcome

BODY_BYTES: Final = 10 << 10
HEAD_BYTES: Final = 64 << 10
REDIRECTS: Final = 10
_FOLLOWED: Final = frozenset((301, 302, 303, 307, 308))  # net/http: redirectBehavior
_BODILESS: Final = frozenset((204, 304))
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r?\n|$)")
_CHUNK: Final = re.compile(rb"\s*([0-9A-Fa-f]{1,8})[^\n]*\n")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_OURS: Final = (("User-Agent", f"groundplane-probe/{__version__}"), ("Accept", "*/*"))


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One GET request: the address to connect to, and the request's fields."""

    tls: bool
    address: str
    port: int
    path: str
    host: str  # of the Host header
    headers: tuple[tuple[str, str], ...] = ()
    redirects: int = 0  # that led here

    def encoded(self) -> bytes:
        given = {name.lower() for name, _ in self.headers}
        lines = [f"GET {self.path} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in _OURS if name.lower() not in given]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode()


class HttpAnswer:
    """The answer to one request, as far as received."""

    __slots__ = ("_body", "_buffer", "_chunked", "_length", "_request", "_status")

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._buffer = b""
        self._status = 0  # of the final answer, once its head is here
        self._body = b""
        self._length: int | None = None  # of the body, where its head says it
        self._chunked = False

    def received(self, data: bytes) -> ProbeOutcome | HttpRequest | None:
        """Return how the check ends, what to ask instead, or None while more is to come.

        *data* is what came next, b"" where the connection has ended.
        """
        if self._status:
            self._body += data
        else:
            self._buffer += data
            if (ended := self._head(ended=not data)) or not self._status:
                return ended
        if self._complete() or (not data and self._length is None and not self._chunked):
            return ProbeOutcome(200 <= self._status < 400, f"HTTP {self._status}")
        return None if data else ProbeOutcome(passed=False, reason="the answer is cut off")

    def _head(self, *, ended: bool) -> ProbeOutcome | HttpRequest | None:
        while end := _END_OF_HEAD.search(self._buffer):
            head, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
            status = _STATUS.match(head)
            if status is None:
                return _no_http(head)
            if 100 <= int(status[1]) < 200 and status[1] != b"101":
                continue
            return self._headed(int(status[1]), head.split(b"\n")[1:])
        if self._buffer and not b"HTTP/1.".startswith(self._buffer[:7]):
            return _no_http(self._buffer)
        if len(self._buffer) > HEAD_BYTES:
            return ProbeOutcome(passed=False, reason=f"headers of more than {HEAD_BYTES >> 10} KiB")
        if ended:
            cut = (
                "the answer is cut off" if self._buffer else "the connection ends without an answer"
            )
            return ProbeOutcome(passed=False, reason=cut)
        return None

    def _headed(self, status: int, lines: Sequence[bytes]) -> ProbeOutcome | HttpRequest | None:
        location = ""
        for line in lines:
            name, _, value = line.partition(b":")
            match name.strip().lower():
                case b"content-length" if value.strip().isdigit():
                    self._length = int(value[:20])
                case b"transfer-encoding" if b"chunked" in value.lower():
                    self._chunked = True
                case b"location":
                    location = value.strip().decode("latin-1")
        if status in _FOLLOWED and location:
            if (target := _redirected(self._request, location)) is None:
                reason = f"HTTP {status} to another host, which is not asked"
                return ProbeOutcome(passed=True, reason=reason)
            if target.redirects >= REDIRECTS:  # net/http: defaultCheckRedirect
                return ProbeOutcome(passed=False, reason=f"stopped after {REDIRECTS} redirects")
            return target
        self._status, self._body = status, self._buffer
        if status in _BODILESS:
            self._length, self._chunked = 0, False
        return None

    def _complete(self) -> bool:
        """Return whether as much of the body as needed was received."""
        most = BODY_BYTES if self._length is None else min(self._length, BODY_BYTES)
        return _last_chunk(self._body) if self._chunked else len(self._body) >= most


def _no_http(data: bytes) -> ProbeOutcome:
    return ProbeOutcome(passed=False, reason=f"no HTTP: {data[:20]!r}")


def _last_chunk(body: bytes) -> bool:
    """Return whether *body*, which comes in chunks, has its last one or all that is waited for."""
    at = 0
    while size := _CHUNK.match(body, at):
        if not int(size[1], 16):
            return True
        at = size.end() + int(size[1], 16)
    return len(body) >= BODY_BYTES


def _redirected(request: HttpRequest, location: str) -> HttpRequest | None:
    """Return what *location* leads to, as seen from *request*; None when it is another host.

    Hosts are compared as kubelet does, by the one that is connected to and not the Host header,
    which goes along with a relative redirect alone (net/http: Client.do).
    """
    address = f"[{request.address}]" if ":" in request.address else request.address
    scheme = "https" if request.tls else "http"
    try:
        base = f"{scheme}://{address}:{request.port}{request.path}"
        url = urlsplit(urljoin(base, location))
        tls = url.scheme == "https"
        port = url.port or (443 if tls else 80)
    except ValueError:
        return None
    if url.hostname != request.address or url.scheme not in ("http", "https"):
        return None
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = url.netloc if urlsplit(location).netloc else request.host
    return HttpRequest(
        tls, request.address, port, _plain(path), host, request.headers, request.redirects + 1
    )


def _plain(path: str) -> str:
    """Return *path* without characters that would end the request's first line."""
    return "".join(each if "!" <= each <= "~" else f"%{ord(each):02X}" for each in path)
