"""A compiled site on a web server; any file server works."""

import asyncio
import http.client
import socket
import ssl
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from groundplane.errors import SourceError, StateError, printable
from groundplane.site.snapshot import revision_of, verify
from groundplane.sources.content import Content, size_of
from groundplane.sources.trust import Trust, authorization, require_readable
from groundplane.sources.url import SnapshotUrl
from groundplane.sources.waits import Waits

_PIECE: Final = 1 << 20
_REDIRECTS: Final = (301, 302, 303, 307, 308)


class SnapshotSource:
    """The snapshot at *url*."""

    def __init__(self, url: SnapshotUrl, trust: Trust, waits: Waits) -> None:
        self.name = str(url)
        self.watched: Path | None = None
        self._url = url
        self._trust = trust
        self._waits = waits
        self._etag = ""  # of the content
        self._content: Content | None = None

    async def look(self) -> Content:
        """Return the server's current snapshot; SourceError says why there is none."""
        request = _Request(self._url, self._trust, self._etag, self._waits.silence)
        try:
            async with asyncio.timeout(self._waits.whole):
                body, etag = await asyncio.to_thread(request.run)
            if body is not None:
                self._content = await asyncio.to_thread(self._taken, body)
                self._etag = etag
        except TimeoutError:
            raise SourceError(f"{self.name}: timed out after {self._waits.whole:g} s") from None
        finally:
            request.abort()
        assert self._content  # noqa: S101
        return self._content

    def _taken(self, body: bytes) -> Content:
        """Return *body* as content; the previous object if it is unchanged."""
        try:
            verify(body)
            revision = revision_of(body)
        except StateError as error:
            raise SourceError(f"{self.name}: {printable(str(error))}") from None
        if self._content and self._content.snapshot == body:
            return self._content
        return Content(revision, revision, None, body, self.name)


class _Request:
    """One request, run in a thread; it ends soon after `abort` from another one."""

    def __init__(self, url: SnapshotUrl, trust: Trust, etag: str, silence: float) -> None:
        self._url = url
        self._silence = silence
        self._trust = trust
        self._etag = etag
        self._aborted = False
        self._wire: socket.socket | None = None

    def abort(self) -> None:
        self._aborted = True
        if self._wire is not None:
            with suppress(OSError):  # it has ended already
                self._wire.shutdown(socket.SHUT_RDWR)
            self._wire.close()

    def run(self) -> tuple[bytes | None, str]:
        """Return the body (None if the ETag matched) and its ETag. Raises SourceError."""
        try:
            return self._get()
        except ssl.SSLCertVerificationError as error:
            why = f"the server's certificate is not to be trusted: {error.verify_message}"
        except ssl.SSLEOFError:
            why = "the server ended the connection"
        except ssl.SSLError as error:
            why = f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
        except TimeoutError:
            why = f"no answer within {self._silence:g} s"
        except OSError as error:
            why = error.strerror or str(error)
        except http.client.IncompleteRead:
            why = "the answer was cut off"
        except http.client.HTTPException as error:
            why = f"no answer of HTTP: {type(error).__name__}: {error}"
        raise SourceError(f"{self._url}: {printable(why)[:400]}")

    def _get(self) -> tuple[bytes | None, str]:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        if self._trust.token:
            headers["Authorization"] = authorization(self._trust.token)
        connection = self._connected()
        try:
            connection.request("GET", self._url.path, headers=headers | {"Connection": "close"})
            with connection.getresponse() as response:
                if self._etag and response.status == HTTPStatus.NOT_MODIFIED:
                    return None, self._etag
                if response.status != HTTPStatus.OK:
                    raise SourceError(f"{self._url}: {_refusal(response)}")
                etag = response.getheader("ETag") or ""
                return self._body(response), etag if printable(etag) == etag else ""
        finally:
            connection.close()

    def _connected(self) -> http.client.HTTPSConnection:
        context = self._context()
        host, port = self._url.host, self._url.port or 443
        wire = socket.create_connection((host, port), self._silence)
        try:
            self._wire = wire.dup()
            if self._aborted:
                raise TimeoutError
            connection = http.client.HTTPSConnection(host, port, context=context)
            connection.sock = context.wrap_socket(wire, server_hostname=host)
        except BaseException:
            wire.close()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        trust = self._trust
        require_readable(trust.ca, trust.certificate, trust.certificate_key)
        try:
            context = ssl.create_default_context(cafile=trust.ca)
        except ssl.SSLError:
            raise SourceError(f"{trust.ca}: no certificate in PEM") from None
        if trust.certificate:
            key = trust.certificate_key or trust.certificate
            try:
                context.load_cert_chain(trust.certificate, key, password=lambda: "")
            except ssl.SSLError:
                files = (
                    f"{trust.certificate}"
                    if key == trust.certificate
                    else f"{trust.certificate}, {key}"
                )
                raise SourceError(f"{files}: no certificate with its key in PEM") from None
        return context

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        limit, length = self._trust.max_bytes, response.length
        pieces: list[bytes] = []
        size = 0
        while size <= limit and (piece := response.read(_PIECE)):
            pieces.append(piece)
            size += len(piece)
        if size > limit:
            raise SourceError(f"{self._url}: the snapshot is larger than {size_of(limit)}")
        if length is not None and size < length:
            raise SourceError(f"{self._url}: the answer ended after {size} of {length} bytes")
        return b"".join(pieces)


def _refusal(response: http.client.HTTPResponse) -> str:
    if response.status in _REDIRECTS:
        target = printable(response.getheader("Location") or "nowhere")[:200]
        return f"the server redirects to {target}; the URL has to be the final one"
    return f"the server answered {response.status} {printable(response.reason)[:200]}".strip()
