"""Read and verify a file from a path or an https URL."""

import errno
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from groundplane_deploys.images.errors import ImageError

_CHUNK: Final = 1 << 20
_TIMEOUT: Final = 60.0  # seconds without a byte
_SMALL: Final = 1 << 20


def take(source: str, directory: Path, checksum: str, dest: Path) -> None:
    """Copy *source* to *dest* if it has *checksum* ("sha256:HEX"); otherwise raise ImageError.

    A path is relative to *directory*. If an https connection breaks, the partial file stays beside
    *dest*, and the next call resumes there.
    """
    algorithm, _, expected = checksum.partition(":")
    part = dest.with_name(f"{dest.name}.part")
    digest = hashlib.new(algorithm)
    try:
        with part.open("ab+") as out:
            out.seek(0)
            there = _copy(out, digest)
            with _opened(source, directory, there) as (stream, at):
                if at != there:
                    out.truncate(0)
                    digest = hashlib.new(algorithm)
                _copy(stream, digest, out)
                # http.client treats the end of a connection as the end of the file.
                if left := getattr(stream, "length", 0):
                    raise http.client.IncompleteRead(b"", left)
    except OSError as error:
        raise _failed(source, part, error) from error
    except http.client.HTTPException as error:
        raise ImageError(f"{source}: the connection broke; a re-run goes on there") from error
    found = digest.hexdigest()
    if found != expected:
        part.unlink()
        raise ImageError(
            f"{source}: its checksum is {algorithm}:{found}, and {checksum} is expected; "
            "what was fetched is removed"
        )
    part.rename(dest)


def read_small(source: str, directory: Path) -> bytes:
    """Return the content of *source*, at most one mebibyte; ImageError if it is unavailable."""
    try:
        with _opened(source, directory, 0) as (stream, _):
            content = stream.read(_SMALL + 1)
    except (OSError, http.client.HTTPException) as error:
        raise ImageError(f"{source}: {_reason(error)}") from error
    if len(content) > _SMALL:
        raise ImageError(f"{source}: it has more than a mebibyte")
    return content


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Reject redirects to anything but https, which could be changed in transit."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError(f"it leads to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _opened(source: str, directory: Path, start: int) -> Iterator[tuple[IO[bytes], int]]:
    """Yield the bytes of *source* and their offset: *start*, if the server supports it."""
    if not source.startswith("https://"):
        with (directory / source).open("rb") as stream:
            yield stream, 0
        return
    request = urllib.request.Request(source)  # noqa: S310 - https, checked above
    if start:
        request.add_header("Range", f"bytes={start}-")
    opener = urllib.request.build_opener(_OnlyHttps)
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            yield answer, start if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0
    except urllib.error.HTTPError as error:
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            with _opened(source, directory, 0) as whole:
                yield whole
            return
        raise


def _copy(stream: IO[bytes], digest: "hashlib._Hash", out: IO[bytes] | None = None) -> int:
    size = 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if out is not None:
            out.write(chunk)
    return size


def _failed(source: str, part: Path, error: OSError) -> ImageError:
    if error.errno == errno.ENOSPC:
        part.unlink(missing_ok=True)
        return ImageError(f"{source}: there is no room for it in {part.parent}")
    return ImageError(f"{source}: {_reason(error)}")


def _reason(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
